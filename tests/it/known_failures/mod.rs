//! The known failures of other tools, one scenario each, played through the program against the
//! sandbox. A scenario sets up what made the other tool fail and shows that towpath passes: the plan,
//! the run, what the API says afterwards, and the plan after it. Nothing here tests wording.
