//! Who may come in: passes to listen, to speak and to host. Pure.
