"""Audits played many times over: how often does a verdict say what it must not? One file a kind of audit."""
