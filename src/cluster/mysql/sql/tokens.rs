//! The words of a statement by MySQL's lexical rules.
