"""The first answer: posterior, re-ranking by resynthesis, bias correction, order test."""
