/// One promise of `RaftLogStorage` broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StorageFault {
    /// None.
    None,
    /// The callback of an append is kept for ever.
    CallbackNeverCalled,
    /// The callback of an append is dropped.
    CallbackDropped,
    /// Callbacks are called in pairs, the later one first.
    CallbacksSwapped,
    /// Truncating loses the vote.
    TruncateLosesVote,
    /// Purging loses the vote.
    PurgeLosesVote,
    /// A reader reads the vote as it was when it was made.
    FrozenVote,
    /// A reader reads the log as it was when it was made.
    FrozenReader,
    /// An excluded start is taken for an included one.
    ExcludedStartIncluded,
    /// `limited_get_log_entries` finds nothing when more is asked for than it likes to read.
    LimitedReadsNothing,
    /// Truncating everything forgets what was purged.
    TruncateForgetsPurged,
    /// Without entries there is no last log id.
    EmptyLogForgetsLast,
    /// A purge beyond the last entry does nothing.
    PurgeStopsAtLast,
    /// Purging loses what was committed.
    PurgeLosesCommitted,
    /// An append keeps the entry that was truncated there.
    TruncateKeepsEntries,
    /// The vote is not there after opening again.
    VoteInMemory,
}

impl StorageFault {
    /// The laws that must catch it.
    pub(crate) fn caught_by(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::CallbackNeverCalled | Self::CallbackDropped => &[
                "completions_fire_once_in_order_after_durability",
                "appended_entries_are_visible_at_once",
            ],
            Self::CallbacksSwapped => &["completions_fire_once_in_order_after_durability"],
            Self::TruncateLosesVote => &[
                "truncate_and_purge_keep_the_vote",
                "any_operations_match_the_reference",
            ],
            Self::PurgeLosesVote => &[
                "truncate_and_purge_keep_the_vote",
                "any_operations_match_the_reference",
            ],
            Self::FrozenVote => &["readers_see_the_newest_vote"],
            Self::FrozenReader => &["appended_entries_are_visible_at_once"],
            Self::ExcludedStartIncluded => &["every_form_of_a_range_reads_the_same"],
            Self::LimitedReadsNothing => &["capped_reads_find_a_prefix_of_at_least_one"],
            Self::TruncateForgetsPurged | Self::EmptyLogForgetsLast => {
                &["an_empty_log_reports_its_floor_as_last"]
            }
            Self::PurgeStopsAtLast => &["purge_may_pass_the_last_entry"],
            Self::PurgeLosesCommitted => &["truncate_and_purge_keep_what_is_committed"],
            Self::TruncateKeepsEntries => &[
                "truncate_drops_the_suffix",
                "every_write_takes_effect_at_one_moment",
            ],
            Self::VoteInMemory => &["a_vote_is_durable_when_saved", "state_survives_reopen"],
        }
    }
}
