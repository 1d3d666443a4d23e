//! The console in a real pseudo-terminal: this very test program started again, with the made-up desk.
