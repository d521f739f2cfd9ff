//! Compares what was acknowledged with what every node holds.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, ensure};

use crate::api::Page;
use crate::types::Line;
use crate::writers::Acknowledged;

/// What is wrong, in lines; all zero when nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Acknowledged, but not at its place on every node.
    pub(crate) lost: usize,
    /// On some node more than once.
    pub(crate) duplicated: usize,
    /// On some node, but never acknowledged.
    pub(crate) unexpected: usize,
}

/// Reads every line of every node and compares.
pub(crate) async fn check(
    http: &reqwest::Client,
    addresses: &[String],
    acknowledged: &[Acknowledged],
) -> Result<Findings> {
    let mut nodes = Vec::new();
    for address in addresses {
        nodes.push(read_all(http, address).await?);
    }
    Ok(compare(&nodes, acknowledged))
}

async fn read_all(http: &reqwest::Client, address: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    loop {
        let url = format!("http://{address}/lines?from={}", lines.len());
        let answer = http.get(url).send().await?.error_for_status()?;
        let page: Page = answer.json().await?;
        ensure!(
            page.total == lines.len() || !page.lines.is_empty(),
            "{address} skips lines"
        );
        lines.extend(page.lines);
        if lines.len() >= page.total {
            return Ok(lines);
        }
    }
}

fn compare(nodes: &[Vec<Line>], acknowledged: &[Acknowledged]) -> Findings {
    let id = |line: &Line| (line.client, line.seq);
    let known: HashSet<_> = acknowledged.iter().map(|ack| id(&ack.line)).collect();
    let in_place = |ack: &Acknowledged, lines: &Vec<Line>| {
        usize::try_from(ack.position).is_ok_and(|at| lines.get(at) == Some(&ack.line))
    };
    let lost = acknowledged
        .iter()
        .filter(|ack| !nodes.iter().all(|node| in_place(ack, node)));

    let (mut duplicated, mut unexpected) = (HashSet::new(), HashSet::new());
    for node in nodes {
        let mut seen = HashMap::new();
        for line in node {
            let times = seen.entry(id(line)).or_insert(0);
            *times += 1;
            if *times > 1 {
                duplicated.insert(id(line));
            }
            if !known.contains(&id(line)) {
                unexpected.insert(id(line));
            }
        }
    }
    Findings {
        lost: lost.count(),
        duplicated: duplicated.len(),
        unexpected: unexpected.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(client: u64, seq: u64) -> Line {
        Line {
            client,
            seq,
            text: format!("line {seq}").into(),
        }
    }

    fn acknowledged() -> Vec<Acknowledged> {
        (0..3)
            .map(|position| Acknowledged {
                line: line(1, position + 1),
                position,
            })
            .collect()
    }

    #[test]
    fn a_cluster_that_kept_its_word_is_found_clean() {
        let node = vec![line(1, 1), line(1, 2), line(1, 3)];
        assert_eq!(
            compare(&[node.clone(), node], &acknowledged()),
            Findings::default()
        );
    }

    #[test]
    fn a_line_missing_on_one_node_is_lost() {
        let (whole, short) = (
            vec![line(1, 1), line(1, 2), line(1, 3)],
            vec![line(1, 1), line(1, 2)],
        );
        let findings = compare(&[whole, short], &acknowledged());
        assert_eq!(
            findings,
            Findings {
                lost: 1,
                ..Findings::default()
            }
        );
    }

    #[test]
    fn lines_in_each_others_place_are_lost() {
        let findings = compare(&[vec![line(1, 2), line(1, 1), line(1, 3)]], &acknowledged());
        assert_eq!(
            findings,
            Findings {
                lost: 2,
                ..Findings::default()
            }
        );
    }

    #[test]
    fn a_changed_text_is_lost() {
        let mut node = vec![line(1, 1), line(1, 2), line(1, 3)];
        node[1].text = "line Z".into();
        assert_eq!(
            compare(&[node], &acknowledged()),
            Findings {
                lost: 1,
                ..Findings::default()
            }
        );
    }

    #[test]
    fn a_line_written_twice_is_duplicated() {
        let node = vec![line(1, 1), line(1, 2), line(1, 3), line(1, 2)];
        let findings = compare(&[node], &acknowledged());
        assert_eq!(
            findings,
            Findings {
                duplicated: 1,
                ..Findings::default()
            }
        );
    }

    #[test]
    fn a_line_nobody_wrote_is_unexpected() {
        let node = vec![line(1, 1), line(1, 2), line(1, 3), line(9, 1)];
        let findings = compare(&[node], &acknowledged());
        assert_eq!(
            findings,
            Findings {
                unexpected: 1,
                ..Findings::default()
            }
        );
    }
}
