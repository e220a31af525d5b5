"""Before anything is measured: what an audit set can decide, and which of its rows to label."""
