//! The known failures of other tools, one scenario each, played through the program against the
//! sandbox. A scenario sets up what made the other tool fail and shows that towpath passes: the plan,
//! the run, what the API says afterwards, and the plan after it. Nothing here tests wording.
//!
//! Themes, by what the other tools' issues call them:
//!
//! | number | other tool's problem | test |
//! |---|---|---|
//! | 16 | password drift is invisible or rewritten; the start flag is part of the definition | `passwords` |
//! | 17 | a serverless replication is started while its configuration changes | none: there is no such kind |
//! | 18 | `IamRole(...)` texts differ for ever; a default role cannot be removed | `namespaces` |
//! | 19 | a namespace cannot change to or from a managed password | `passwords` |
//! | 20 | a workgroup refuses several changes at once | `workgroups` |
//! | 21 | AVAILABLE too early and too late, creation timeouts, deletes that show AVAILABLE | `stability` |
//! | 22 | parameters differ for ever, because AWS adds keys | `workgroups` |
//! | 23 | the order of base and maximum capacity, and -1 sent twice | `workgroups` |
//! | 24 | `require_ssl=false` is refused on create | `workgroups` |
//! | 25 | the database is told only when a workgroup exists | `namespaces` |
//! | 26 | zones and free addresses are learnt from a refusal | `workgroups` |
//! | 27 | one more endpoint makes tasks again | `stability` |
//! | 28 | the trust of an existing role lacks Redshift Serverless | `stability` |

mod house;
mod namespaces;
mod passwords;
mod stability;
mod workgroups;
