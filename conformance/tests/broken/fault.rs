/// One promise broken, as real stores have broken it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None: the wrapper alone.
    None,
    /// A gap is accepted, and what lies behind it swallowed.
    GapAccepted,
    /// An append that overlaps replaces what was there.
    OverlapReplaces,
    /// Readers see only what is durable.
    VisibleWhenDurable,
    /// Truncate keeps the entry it names.
    TruncateKeepsOne,
    /// A log without entries forgets its floor.
    EmptyLogForgetsFloor,
    /// The floor is not stored.
    ReopenForgetsFloor,
    /// Every fifth completion never fires.
    CompletionLost,
    /// Completions fire in pairs, the later one first.
    CompletionsSwapped,
    /// Completions fire when the write is accepted.
    CompletesEarly,
    /// What is refused is completed with `Ok`.
    RefusalCompletesOk,
    /// A range is read in two halves, with time between them.
    TornReads,
    /// A handle reads the log as it was when it read first.
    FrozenReader,
    /// The last index of a range is left out.
    RangeEndExcluded,
    /// The byte cap is not looked at.
    CapIgnored,
    /// An entry larger than the cap is not returned.
    CapReturnsNothing,
    /// A purge beyond the last entry stops there.
    PurgeStopsAtLast,
    /// A purge below the floor takes it back.
    FloorGoesBack,
    /// A purge stores the id of the one before.
    PurgeStoresOldId,
    /// What is purged stays on disk.
    SpaceNeverGivenBack,
    /// The vote is kept in memory.
    VoteInMemory,
    /// A vote is written before the appends that were submitted before it.
    VoteOvertakesLog,
    /// Truncating loses the vote.
    TruncateLosesVote,
    /// Purging loses the vote.
    PurgeLosesVote,
    /// A handle reads the vote as it was when it read first.
    FrozenVote,
    /// Lazy writes are not written at all.
    LazyIsNever,
    /// Lazy writes are synced.
    LazyIsSynced,
    /// Lazy writes go to a place of their own, at once.
    LazyAhead,
    /// All groups share their stable keys.
    GroupsShareKeys,
    /// A dropped group keeps its vote.
    DropKeepsVote,
    /// Groups are listed once a handle was made.
    HandlesAreListed,
    /// After a failed commit writes are accepted and completed.
    FailureIgnored,
    /// A closed store answers reads.
    ClosedAnswers,
    /// The directory can be opened again while it is open.
    NoLock,
    /// Looking at a store leaves the engine's lock file behind.
    InspectionLeavesAFile,
    /// For a moment after a truncate, reads answer from a cache that still holds what it dropped.
    StaleAfterTruncate,
    /// A purge takes the entries first, and moves the floor a moment later.
    FloorMovesLate,
    /// Dropping a group takes its entries first, and the rest a moment later.
    DroppedInParts,
}

impl Fault {
    /// Every fault.
    pub(crate) const ALL: [Self; 38] = [
        Self::None,
        Self::GapAccepted,
        Self::OverlapReplaces,
        Self::VisibleWhenDurable,
        Self::TruncateKeepsOne,
        Self::EmptyLogForgetsFloor,
        Self::ReopenForgetsFloor,
        Self::CompletionLost,
        Self::CompletionsSwapped,
        Self::CompletesEarly,
        Self::RefusalCompletesOk,
        Self::TornReads,
        Self::FrozenReader,
        Self::RangeEndExcluded,
        Self::CapIgnored,
        Self::CapReturnsNothing,
        Self::PurgeStopsAtLast,
        Self::FloorGoesBack,
        Self::PurgeStoresOldId,
        Self::SpaceNeverGivenBack,
        Self::VoteInMemory,
        Self::VoteOvertakesLog,
        Self::TruncateLosesVote,
        Self::PurgeLosesVote,
        Self::FrozenVote,
        Self::LazyIsNever,
        Self::LazyIsSynced,
        Self::LazyAhead,
        Self::GroupsShareKeys,
        Self::DropKeepsVote,
        Self::HandlesAreListed,
        Self::FailureIgnored,
        Self::ClosedAnswers,
        Self::NoLock,
        Self::InspectionLeavesAFile,
        Self::StaleAfterTruncate,
        Self::FloorMovesLate,
        Self::DroppedInParts,
    ];

    /// The laws that must catch it.
    pub(crate) fn caught_by(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::GapAccepted => &[
                "appends_are_contiguous",
                "any_operations_match_the_reference",
            ],
            Self::OverlapReplaces => &[
                "appends_are_contiguous",
                "a_refused_append_leaves_writes_in_flight_alone",
            ],
            Self::VisibleWhenDurable => &["writes_are_visible_before_they_are_durable"],
            Self::TruncateKeepsOne => &[
                "truncate_drops_the_suffix",
                "truncate_is_valid_while_entries_are_in_flight",
                "purge_is_valid_while_entries_are_in_flight",
                "any_operations_match_the_reference",
            ],
            Self::EmptyLogForgetsFloor => &["an_empty_log_reports_its_floor_as_last"],
            Self::ReopenForgetsFloor => &["state_survives_reopen"],
            Self::CompletionLost => &[
                "completions_fire_once_in_order_after_durability",
                "completions_fire_when_the_store_is_closed",
                "completions_fire_when_the_store_is_dropped",
            ],
            Self::CompletionsSwapped => &["completions_fire_once_in_order_after_durability"],
            Self::CompletesEarly => &[
                "completions_fire_once_in_order_after_durability",
                "no_completion_fires_before_its_commit",
                "writes_are_visible_before_they_are_durable",
            ],
            Self::RefusalCompletesOk => &[
                "refused_writes_fire_their_completion",
                "a_truncate_below_the_floor_is_refused",
            ],
            Self::TornReads => &[
                "reads_are_atomic_and_whole",
                "every_write_takes_effect_at_one_moment",
            ],
            Self::FrozenReader => &["appended_entries_are_visible_at_once"],
            Self::RangeEndExcluded => &["reads_honour_every_kind_of_range"],
            Self::CapIgnored => &[
                "reads_honour_their_byte_cap",
                "any_operations_match_the_reference",
            ],
            Self::CapReturnsNothing => &[
                "reads_honour_their_byte_cap",
                "capped_reads_find_a_prefix_of_at_least_one",
                "any_operations_match_the_reference",
            ],
            Self::PurgeStopsAtLast => &[
                "purge_may_pass_the_last_entry",
                "purge_may_leave_a_hole_above_the_floor",
                "purge_is_valid_while_entries_are_in_flight",
            ],
            Self::FloorGoesBack => &[
                "purge_never_moves_the_floor_back",
                "any_operations_match_the_reference",
            ],
            Self::PurgeStoresOldId => &[
                "purge_drops_the_prefix_and_moves_the_floor",
                "the_floor_and_its_id_move_together",
                "the_floor_and_its_id_are_committed_together",
            ],
            Self::SpaceNeverGivenBack => &["purged_space_is_given_back"],
            Self::VoteInMemory => &[
                "a_vote_is_durable_when_saved",
                "state_survives_reopen",
                "every_stable_key_survives_reopen",
            ],
            Self::VoteOvertakesLog => &["a_vote_is_ordered_with_the_log"],
            Self::TruncateLosesVote | Self::PurgeLosesVote => &[
                "truncate_and_purge_keep_the_vote",
                "truncate_and_purge_touch_no_stable_key",
                "any_operations_match_the_reference",
            ],
            Self::FrozenVote => &["readers_see_the_newest_vote"],
            Self::LazyIsNever => &[
                "committed_is_lazy_and_never_ahead_of_the_log",
                "truncate_and_purge_keep_what_is_committed",
            ],
            Self::LazyIsSynced => &["committed_starts_no_commit_of_its_own"],
            Self::LazyAhead => &[
                "committed_is_never_committed_ahead_of_the_log",
                "committed_can_be_removed",
            ],
            Self::GroupsShareKeys => &["groups_are_isolated"],
            Self::DropKeepsVote => &["a_dropped_group_leaves_no_trace"],
            Self::HandlesAreListed => &["listed_groups_are_those_with_data"],
            Self::FailureIgnored => &[
                "a_failed_commit_poisons_the_store",
                "failed_background_work_poisons_the_store",
            ],
            Self::ClosedAnswers => &["a_closed_store_refuses_everything"],
            Self::NoLock => &["a_second_open_is_refused"],
            Self::InspectionLeavesAFile => &["looking_at_a_store_changes_nothing"],
            Self::StaleAfterTruncate | Self::FloorMovesLate => {
                &["every_write_takes_effect_at_one_moment"]
            }
            Self::DroppedInParts => &["a_group_is_dropped_at_one_moment"],
        }
    }
}
