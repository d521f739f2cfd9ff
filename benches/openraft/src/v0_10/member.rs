use anyhow::Result;

use super::Raft;
use crate::cluster::{Member, PATIENCE};

impl Member for Raft {
    async fn write(&self, data: String) -> Result<u64> {
        Ok(self.client_write(data).await?.log_id.index)
    }

    async fn wait_applied(&self, index: u64) -> Result<()> {
        let wait = self.wait(Some(PATIENCE));
        let applied = wait.applied_index_at_least(Some(index), "all is applied");
        applied.await?;
        Ok(())
    }

    async fn stop(&self) -> Result<()> {
        Ok(self.shutdown().await?)
    }
}
