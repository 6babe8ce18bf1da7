//! System tests, one module a claim.
