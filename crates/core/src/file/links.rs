//! Which symbolic links are followed below a root.

/// Which symbolic links a path below a [`Root`](super::Root) may pass through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub enum Links {
    /// No link as the last component, and none that leads out of the root before it.
    NotFollowed,
    /// Links are followed, wherever they lead.
    Followed,
    /// Links are followed as long as they stay below the root.
    FollowedWithin,
}
