"""INT8 and float16: where rounding goes, what it costs, what may ship."""
