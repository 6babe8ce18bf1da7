//! The RPM database: which packages are installed, and who signed them.
