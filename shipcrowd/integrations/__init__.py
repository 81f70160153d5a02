"""Outside systems, one folder each: what they say turned into our words, and ours into theirs. A vendor knows the
kernel and the contracts it fulfils, never the modules behind them, nor its own stand-in in `sandbox`."""
