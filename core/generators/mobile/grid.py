def remove_grid(x): return x
