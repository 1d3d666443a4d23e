//! Time on screen and on the command line: parsing what operators write, and echoing it in all forms.
