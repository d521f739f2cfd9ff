/// Declares the faults: what each breaks, and the laws that must catch it.
macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident => [$($law:literal),* $(,)?],)*) => {
        /// One promise broken, as real stores have broken it; the table in `README.md` says which.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// Every fault.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// The laws that must catch it.
            pub(crate) fn caught_by(self) -> &'static [&'static str] {
                match self {
                    $(Self::$name => &[$($law),*],)*
                }
            }
        }
    };
}

faults! {
    /// None: the wrapper alone.
    None => [],
    /// None: the wrapper alone, around the store in files.
    NoneInFiles => [],
    /// A gap is accepted, and what lies behind it swallowed.
    GapAccepted => ["appends_are_contiguous", "any_operations_match_the_reference"],
    /// An append that overlaps replaces what was there.
    OverlapReplaces => ["appends_are_contiguous", "a_refused_append_leaves_writes_in_flight_alone"],
    /// Readers see only what is durable.
    VisibleWhenDurable => ["writes_are_visible_before_they_are_durable"],
    /// Truncate keeps the entry it names.
    TruncateKeepsOne => ["truncate_drops_the_suffix", "truncate_is_valid_while_entries_are_in_flight", "purge_is_valid_while_entries_are_in_flight", "any_operations_match_the_reference"],
    /// A log without entries forgets its floor.
    EmptyLogForgetsFloor => ["an_empty_log_reports_its_floor_as_last"],
    /// The floor is not stored.
    ReopenForgetsFloor => ["state_survives_reopen"],
    /// Every fifth completion never fires.
    CompletionLost => ["completions_fire_once_in_order_after_durability", "completions_fire_when_the_store_is_closed", "completions_fire_when_the_store_is_dropped"],
    /// Completions fire in pairs, the later one first.
    CompletionsSwapped => ["completions_fire_once_in_order_after_durability"],
    /// Completions fire when the write is accepted.
    CompletesEarly => ["completions_fire_once_in_order_after_durability", "no_completion_fires_before_its_commit", "writes_are_visible_before_they_are_durable"],
    /// What is refused is completed with `Ok`.
    RefusalCompletesOk => ["refused_writes_fire_their_completion", "a_truncate_below_the_floor_is_refused"],
    /// A range is read in two halves, with time between them.
    TornReads => ["reads_are_atomic_and_whole", "every_write_takes_effect_at_one_moment"],
    /// A handle reads the log as it was when it read first.
    FrozenReader => ["appended_entries_are_visible_at_once"],
    /// The last index of a range is left out.
    RangeEndExcluded => ["reads_honour_every_kind_of_range"],
    /// The byte cap is not looked at.
    CapIgnored => ["reads_honour_their_byte_cap", "any_operations_match_the_reference"],
    /// An entry larger than the cap is not returned.
    CapReturnsNothing => ["reads_honour_their_byte_cap", "any_operations_match_the_reference", "capped_reads_find_a_prefix_of_at_least_one"],
    /// A purge beyond the last entry stops there.
    PurgeStopsAtLast => ["purge_may_pass_the_last_entry", "purge_is_valid_while_entries_are_in_flight", "purge_may_leave_a_hole_above_the_floor"],
    /// A purge below the floor takes it back.
    FloorGoesBack => ["purge_never_moves_the_floor_back", "any_operations_match_the_reference"],
    /// A purge stores the id of the one before.
    PurgeStoresOldId => ["purge_drops_the_prefix_and_moves_the_floor", "the_floor_and_its_id_move_together", "the_floor_and_its_id_are_committed_together"],
    /// What is purged stays on disk.
    SpaceNeverGivenBack => ["purged_space_is_given_back"],
    /// The vote is kept in memory.
    VoteInMemory => ["a_vote_is_durable_when_saved", "state_survives_reopen", "every_stable_key_survives_reopen"],
    /// A vote is written before the appends that were submitted before it.
    VoteOvertakesLog => ["a_vote_is_ordered_with_the_log"],
    /// Truncating loses the vote.
    TruncateLosesVote => ["truncate_and_purge_touch_no_stable_key", "any_operations_match_the_reference", "truncate_and_purge_keep_the_vote"],
    /// Purging loses the vote.
    PurgeLosesVote => ["truncate_and_purge_touch_no_stable_key", "any_operations_match_the_reference", "truncate_and_purge_keep_the_vote"],
    /// A handle reads the vote as it was when it read first.
    FrozenVote => ["readers_see_the_newest_vote"],
    /// Lazy writes are not written at all.
    LazyIsNever => ["committed_is_lazy_and_never_ahead_of_the_log", "truncate_and_purge_keep_what_is_committed"],
    /// Lazy writes are synced.
    LazyIsSynced => ["committed_starts_no_commit_of_its_own"],
    /// Lazy writes go to a place of their own, at once.
    LazyAhead => ["committed_is_never_committed_ahead_of_the_log", "committed_can_be_removed"],
    /// All groups share their stable keys.
    GroupsShareKeys => ["groups_are_isolated"],
    /// A dropped group keeps its vote.
    DropKeepsVote => ["a_dropped_group_leaves_no_trace"],
    /// Groups are listed once a handle was made.
    HandlesAreListed => ["listed_groups_are_those_with_data"],
    /// After a failed commit writes are accepted and completed.
    FailureIgnored => ["a_failed_commit_poisons_the_store", "failed_background_work_poisons_the_store"],
    /// A closed store answers reads.
    ClosedAnswers => ["a_closed_store_refuses_everything"],
    /// The directory can be opened again while it is open.
    NoLock => ["a_second_open_is_refused"],
    /// Looking at a store leaves the engine's lock file behind.
    InspectionLeavesAFile => ["looking_at_a_store_changes_nothing"],
    /// For a moment after a truncate, reads answer from a cache that still holds what it dropped.
    StaleAfterTruncate => ["every_write_takes_effect_at_one_moment"],
    /// A purge takes the entries first, and moves the floor a moment later.
    FloorMovesLate => ["every_write_takes_effect_at_one_moment"],
    /// Dropping a group takes its entries first, and the rest a moment later.
    DroppedInParts => ["a_group_is_dropped_at_one_moment"],
    /// An excluded start of a range is read as an included one.
    RangeStartOneEarly => ["reads_honour_every_kind_of_range"],
    /// A range without a start is an error.
    UnboundedStartRefused => ["reads_honour_every_kind_of_range"],
    /// A large append is written in parts, and one entry is skipped between two.
    EntrySkippedAtASplit => ["truncate_drops_the_suffix", "purge_drops_the_prefix_and_moves_the_floor"],
    /// An append that overlaps is accepted, and keeps what was there.
    OverlapKeepsOld => ["appends_are_contiguous"],
    /// Truncating all of a log resets its floor.
    TruncateResetsFloor => ["an_empty_log_reports_its_floor_as_last"],
    /// Purging loses the committed index.
    PurgeWipesCommitted => ["truncate_and_purge_touch_no_stable_key"],
    /// A purge at or below the floor is an error.
    RepurgeRefused => ["purge_never_moves_the_floor_back"],
    /// The bounds of an empty log are an error.
    EmptyLogIsAnError => ["appends_are_contiguous", "state_survives_reopen"],
    /// Entries are kept in memory, the vote on disk.
    LogInMemory => ["state_survives_reopen", "completions_fire_when_the_store_is_closed"],
    /// What the adapter knows of the floor is kept in memory.
    PurgedInMemory => ["state_survives_reopen"],
    /// A vote is called durable before it is synced.
    VoteUnsynced => ["no_completion_fires_before_its_commit"],
    /// Of the writes that one sync covers, only the last completes.
    OnlyLastCompletionFires => ["completions_fire_once_in_order_after_durability"],
    /// Every append completes on a thread of its own.
    ThreadPerAppend => ["completions_fire_once_in_order_after_durability"],
    /// Completions of writes that failed never fire.
    CompletionLostOnFailure => ["a_failed_commit_poisons_the_store", "refused_writes_fire_their_completion"],
    /// A failed commit fails its writes, and the next ones are accepted and succeed.
    FailureForgotten => ["a_failed_commit_poisons_the_store"],
    /// What an append put into the cache stays there when its commit fails.
    CachedBeforeWritten => ["a_failed_commit_poisons_the_store"],
    /// The lock is one that other processes do not see.
    LockOfThisProcessOnly => ["a_second_open_from_another_process_is_refused"],
    /// The first record that cannot be read is taken for the end of the log.
    FirstBadRecordIsTheEnd => ["a_flipped_bit_is_reported_or_harmless", "a_cut_file_is_reported_or_harmless", "foreign_bytes_are_reported_or_harmless"],
    /// A record that cannot be read is skipped, and what follows is used.
    BadRecordSkipped => ["a_flipped_bit_is_reported_or_harmless"],
    /// Records have no checksum.
    NoChecksum => ["a_flipped_bit_is_reported_or_harmless", "foreign_bytes_are_reported_or_harmless"],
    /// A file that is gone is taken for one that was never written.
    MissingFileIsEmpty => ["a_lost_file_is_reported_or_harmless"],
    /// The vote is a small file, without a checksum; none means that no vote was given.
    VoteInAFileOfItsOwn => ["a_lost_file_is_reported_or_harmless", "a_flipped_bit_is_reported_or_harmless"],
    /// A record that is not as expected fails an assertion.
    DamagePanics => ["a_flipped_bit_is_reported_or_harmless"],
    /// Damage ends the process.
    DamageAborts => ["a_flipped_bit_is_reported_or_harmless"],
    /// Commits go to whatever file is at the path of the log.
    LogReachedByPath => ["a_moved_store_and_one_in_its_place_keep_apart"],
    /// Of two writes of a stable key in one batch the first counts.
    FirstWriteOfABatchCounts => ["any_operations_match_the_reference"],
}

impl Fault {
    /// The fault of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|fault| format!("{fault:?}") == name)
    }

    /// Whether it is one at all.
    pub(crate) fn is_one(self) -> bool {
        !matches!(self, Self::None | Self::NoneInFiles)
    }

    /// Whether the store behind it is the one in files.
    pub(crate) fn is_in_files(self) -> bool {
        matches!(
            self,
            Self::NoneInFiles
                | Self::FirstBadRecordIsTheEnd
                | Self::BadRecordSkipped
                | Self::NoChecksum
                | Self::MissingFileIsEmpty
                | Self::VoteInAFileOfItsOwn
                | Self::DamagePanics
                | Self::DamageAborts
                | Self::LogReachedByPath
                | Self::FirstWriteOfABatchCounts
        )
    }

    /// Whether the store does without a note of what was acknowledged.
    pub(crate) fn has_no_watermark(self) -> bool {
        self.is_in_files() && !matches!(self, Self::NoneInFiles | Self::VoteInAFileOfItsOwn)
    }
}
