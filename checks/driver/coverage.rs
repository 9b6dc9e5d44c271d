//! Coverage: how often each kind of event has occurred, so that one that never does is seen.
//!
//! The kinds are named by exhaustive matches: a new message, entry, timer or refusal has to be
//! given its kind before the driver compiles.

use model::client;
use model::founding;
use model::kv::command::{Op, Output};
use model::kv::transaction::Reason;
use model::message::{Answer, Message, NotTaken};
use model::node;
use model::raft::{self, Rpc};
use model::replica::Command;
use model::shard::config::Refusal;
use model::shard::controller::{Change, Outcome};
use model::shard::{migration, txn};

use super::plan::Family;

/// Declares the kinds of events, each with the words that people read.
macro_rules! kinds {
    ($($name:ident $words:literal,)*) => {
        /// A kind of event.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        #[repr(u8)]
        #[allow(missing_docs)] // The words say it.
        pub enum Kind { $($name),* }

        impl Kind {
            /// All kinds, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The kind in words.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words),* }
            }
        }
    };
}

kinds! {
    RequestVote "message RequestVote",
    VoteGranted "message RequestVoteReply",
    AppendEntries "message AppendEntries",
    Heartbeat "message AppendEntries without entries",
    Matched "message Matched",
    Conflict "message Conflict",
    Lost "message Lost",
    Request "message Request",
    Done "reply Done",
    TooLarge "reply refused, too large",
    Overloaded "reply refused, overloaded",
    DiskFull "reply refused, disk full",
    Silent "reply refused, silent group",
    Redirect "reply Redirect",
    Elsewhere "reply Elsewhere",
    Change "message Change",
    Ask "message Ask",
    Configuration "message Configuration",
    Offer "message Offer",
    Decline "message Decline",
    Want "message Want",
    Part "message Part",
    Inspect "message Inspect",
    Holdings "message Holdings",
    Prepare "message Prepare",
    VoteYes "vote Yes",
    VoteTooLarge "vote TooLarge",
    VoteNo "vote No",
    VoteLate "vote Late",
    Wound "message Wound",
    Commit "message Decide, commit",
    Abort "message Decide, abort",
    Settled "message Settled",
    Announce "message Announce",
    Founded "message Founded",
    EntryGet "entry get",
    EntryPut "entry put",
    EntryAppend "entry append",
    EntryCas "entry cas",
    EntryDelete "entry delete",
    EntryTransaction "entry transaction",
    EntryJoin "entry join",
    EntryLeave "entry leave",
    EntryMove "entry move",
    EntryQuery "entry query",
    EntryConfigure "entry configure",
    EntryInstall "entry install",
    EntryTurnTo "entry turn to",
    EntryRelease "entry release",
    EntryDecline "entry decline",
    EntryDiscard "entry discard",
    EntryPrepare "entry prepare",
    EntryVote "entry vote",
    EntryWound "entry wound",
    EntryDecide "entry decide",
    EntrySettled "entry settled",
    OutputValue "result of get",
    OutputWritten "result written",
    OutputTooLarge "result too large",
    OutputSwapped "result swapped",
    OutputMismatch "result mismatch",
    OutputDeleted "result deleted",
    OutputCommitted "result committed",
    RejectedFound "rejected, check failed",
    RejectedMissing "rejected, operand missing",
    RejectedNotANumber "rejected, not a number",
    RejectedTooLarge "rejected, too large",
    Changed "change carried out",
    Queried "configuration told",
    NoGroup "change refused, no group named",
    GroupExists "change refused, group exists",
    NoServers "change refused, no servers",
    ServerTaken "change refused, server taken",
    OtherServers "change refused, other servers",
    LastGroup "change refused, last group",
    UnknownGroup "change refused, unknown group",
    UnknownShard "change refused, unknown shard",
    AlreadyThere "change refused, already there",
    TimerAnnounce "timer Announce",
    TimerElection "timer Election",
    TimerHeartbeat "timer Heartbeat",
    TimerPoll "timer Poll",
    TimerRetry "timer Retry",
    FaultLoss "fault message lost",
    FaultDuplicate "fault message duplicated",
    FaultLate "fault old copy delivered",
    FaultBlocked "fault link blocked",
    FaultCrash "fault crash",
    FaultDisk "fault disk lost",
    FaultRoom "fault disk full",
    FaultHearing "fault group not heard",
    FaultGivenUp "fault client gives up",
    FaultStop "group stopped for good",
    LeaderReplaced "leader replaced",
}

/// Count of the events of each kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Coverage(Vec<u64>);

impl Default for Coverage {
    fn default() -> Self {
        Self(vec![0; Kind::ALL.len()])
    }
}

impl Coverage {
    /// Counts one more event.
    pub fn count(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    /// Adds what another run has counted.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            *sum += more;
        }
    }

    /// Returns how often a kind has occurred.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// Returns the kinds that never occurred, although a run of this family must reach them.
    #[must_use]
    pub fn missing(&self, family: Family) -> Vec<Kind> {
        let missing = |kind: &&Kind| self.of(**kind) == 0 && is_reached(**kind, family);
        Kind::ALL.iter().filter(missing).copied().collect()
    }
}

/// Kinds that need moves of shards, or other changes than the first join.
const OF_MOVES: &[Kind] = &[
    Kind::Elsewhere,
    Kind::Silent,
    Kind::Offer,
    Kind::Decline,
    Kind::Want,
    Kind::Part,
    Kind::VoteNo,
    Kind::EntryLeave,
    Kind::EntryMove,
    Kind::EntryQuery,
    Kind::EntryInstall,
    Kind::EntryTurnTo,
    Kind::EntryRelease,
    Kind::EntryDecline,
    Kind::EntryDiscard,
    Kind::Queried,
    Kind::NoGroup,
    Kind::NoServers,
    Kind::GroupExists,
    Kind::ServerTaken,
    Kind::OtherServers,
    Kind::LastGroup,
    Kind::UnknownGroup,
    Kind::UnknownShard,
    Kind::AlreadyThere,
    Kind::FaultHearing,
    Kind::FaultStop,
];

/// Kinds that need a group of several servers.
const OF_SEVERAL: &[Kind] = &[
    Kind::RequestVote,
    Kind::VoteGranted,
    Kind::AppendEntries,
    Kind::Heartbeat,
    Kind::Matched,
    Kind::Conflict,
    Kind::Redirect,
    Kind::LeaderReplaced,
    Kind::TimerAnnounce,
    Kind::Announce,
    Kind::Founded,
    Kind::FaultDisk,
    Kind::Overloaded,
];

/// Kinds that no run reaches: a server that has lost acknowledged entries is a fault that the
/// protocol detects only in part, and the driver does not cause it.
const OF_NONE: &[Kind] = &[Kind::Lost];

/// Kinds that are too rare where an episode takes more steps: values that change between the
/// request and the vote must exceed a limit of several groups.
const SELDOM: &[Kind] = &[Kind::VoteTooLarge];

/// Whether a run of the family must reach the kind.
#[must_use]
pub fn is_reached(kind: Kind, family: Family) -> bool {
    let unreached: &[&[Kind]] = match family {
        Family::Ones => &[OF_NONE, OF_MOVES, OF_SEVERAL],
        Family::Threes => &[OF_NONE, OF_MOVES, SELDOM],
        Family::Moves => &[OF_NONE, SELDOM],
    };
    !unreached.iter().any(|kinds| kinds.contains(&kind))
}

/// The kind of a message.
#[must_use]
pub fn of_message(message: &Message) -> Kind {
    match message {
        Message::Raft(message) => of_rpc(&message.rpc),
        Message::Request(_) => Kind::Request,
        Message::Reply(reply) => of_answer(&reply.answer),
        Message::Change(_) => Kind::Change,
        Message::Outcome(reply) => of_answer(&reply.answer),
        Message::Migration(message) => of_migration(message),
        Message::Transaction(message) => of_transaction(message),
        Message::Founding(founding::Message::Announce(_)) => Kind::Announce,
        Message::Founding(founding::Message::Founded(_)) => Kind::Founded,
    }
}

fn of_rpc(rpc: &Rpc<Command>) -> Kind {
    match rpc {
        Rpc::RequestVote { .. } => Kind::RequestVote,
        Rpc::RequestVoteReply => Kind::VoteGranted,
        Rpc::AppendEntries { entries, .. } if entries.is_empty() => Kind::Heartbeat,
        Rpc::AppendEntries { .. } => Kind::AppendEntries,
        Rpc::AppendEntriesReply(raft::Outcome::Matched(_)) => Kind::Matched,
        Rpc::AppendEntriesReply(raft::Outcome::Conflict { .. }) => Kind::Conflict,
        Rpc::AppendEntriesReply(raft::Outcome::Lost(_)) => Kind::Lost,
    }
}

fn of_answer<T>(answer: &Answer<T>) -> Kind {
    match answer {
        Answer::Done(_) => Kind::Done,
        Answer::Refused(why) => match why {
            NotTaken::TooLarge => Kind::TooLarge,
            NotTaken::Overloaded => Kind::Overloaded,
            NotTaken::DiskFull => Kind::DiskFull,
            NotTaken::Silent(_) => Kind::Silent,
        },
        Answer::Redirect(_) => Kind::Redirect,
        Answer::Elsewhere(_) => Kind::Elsewhere,
    }
}

fn of_migration(message: &migration::Message) -> Kind {
    match message {
        migration::Message::Ask(_) => Kind::Ask,
        migration::Message::Configuration(_) => Kind::Configuration,
        migration::Message::Offer { .. } => Kind::Offer,
        migration::Message::Decline { .. } => Kind::Decline,
        migration::Message::Want { .. } => Kind::Want,
        migration::Message::Part { .. } => Kind::Part,
        migration::Message::Inspect => Kind::Inspect,
        migration::Message::Holdings(_) => Kind::Holdings,
    }
}

fn of_transaction(message: &txn::Message) -> Kind {
    match message {
        txn::Message::Prepare { .. } => Kind::Prepare,
        txn::Message::Vote { vote, .. } => match vote {
            txn::Vote::Yes(_) => Kind::VoteYes,
            txn::Vote::TooLarge => Kind::VoteTooLarge,
            txn::Vote::No(_) => Kind::VoteNo,
            txn::Vote::Late => Kind::VoteLate,
        },
        txn::Message::Wound { .. } => Kind::Wound,
        txn::Message::Decide { decision: txn::Decision::Commit(_), .. } => Kind::Commit,
        txn::Message::Decide { decision: txn::Decision::Abort, .. } => Kind::Abort,
        txn::Message::Settled { .. } => Kind::Settled,
    }
}

/// The kind of an entry of a log.
#[must_use]
pub fn of_entry(command: &Command) -> Kind {
    match command {
        Command::Request(request) => match request.op {
            Op::Get(_) => Kind::EntryGet,
            Op::Put(..) => Kind::EntryPut,
            Op::Append(..) => Kind::EntryAppend,
            Op::Cas { .. } => Kind::EntryCas,
            Op::Delete(_) => Kind::EntryDelete,
            Op::Transaction(_) => Kind::EntryTransaction,
        },
        Command::Change(request) => match request.op {
            Change::Join(_) => Kind::EntryJoin,
            Change::Leave(_) => Kind::EntryLeave,
            Change::Move(..) => Kind::EntryMove,
            Change::Query(_) => Kind::EntryQuery,
        },
        Command::Migration(entry) => match entry {
            migration::Entry::Configure(_) => Kind::EntryConfigure,
            migration::Entry::Install { .. } => Kind::EntryInstall,
            migration::Entry::TurnTo { .. } => Kind::EntryTurnTo,
            migration::Entry::Release { .. } => Kind::EntryRelease,
            migration::Entry::Decline { .. } => Kind::EntryDecline,
            migration::Entry::Discard { .. } => Kind::EntryDiscard,
        },
        Command::Transaction(entry) => match **entry {
            txn::Entry::Prepare { .. } => Kind::EntryPrepare,
            txn::Entry::Vote { .. } => Kind::EntryVote,
            txn::Entry::Wound { .. } => Kind::EntryWound,
            txn::Entry::Decide { .. } => Kind::EntryDecide,
            txn::Entry::Settled { .. } => Kind::EntrySettled,
        },
    }
}

/// The kind of a timer.
#[must_use]
pub fn of_timer(timer: node::Timer) -> Kind {
    match timer {
        node::Timer::Announce => Kind::TimerAnnounce,
        node::Timer::Raft(raft::Timer::Election) => Kind::TimerElection,
        node::Timer::Raft(raft::Timer::Heartbeat) => Kind::TimerHeartbeat,
        node::Timer::Poll => Kind::TimerPoll,
        node::Timer::Client(client::Timer::Retry) => Kind::TimerRetry,
    }
}

/// The kind of a result.
#[must_use]
pub fn of_output(output: &Output) -> Kind {
    match output {
        Output::Value(_) => Kind::OutputValue,
        Output::Written => Kind::OutputWritten,
        Output::TooLarge => Kind::OutputTooLarge,
        Output::Swapped => Kind::OutputSwapped,
        Output::Mismatch(_) => Kind::OutputMismatch,
        Output::Deleted(_) => Kind::OutputDeleted,
        Output::Committed(_) => Kind::OutputCommitted,
        Output::Rejected(refusal) => match refusal.reason {
            Reason::Found(_) => Kind::RejectedFound,
            Reason::Missing => Kind::RejectedMissing,
            Reason::NotANumber => Kind::RejectedNotANumber,
            Reason::TooLarge => Kind::RejectedTooLarge,
        },
    }
}

/// The kind of what the controller answers.
#[must_use]
pub fn of_outcome(outcome: &Outcome) -> Kind {
    match outcome {
        Outcome::Changed(_) => Kind::Changed,
        Outcome::Configuration(_) => Kind::Queried,
        Outcome::Refused(refusal) => match refusal {
            Refusal::NoGroup => Kind::NoGroup,
            Refusal::GroupExists(_) => Kind::GroupExists,
            Refusal::NoServers(_) => Kind::NoServers,
            Refusal::ServerTaken(_) => Kind::ServerTaken,
            Refusal::OtherServers(_) => Kind::OtherServers,
            Refusal::LastGroup => Kind::LastGroup,
            Refusal::UnknownGroup(_) => Kind::UnknownGroup,
            Refusal::UnknownShard(_) => Kind::UnknownShard,
            Refusal::AlreadyThere(_) => Kind::AlreadyThere,
        },
    }
}
