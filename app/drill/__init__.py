"""The drill: the product's own processes under kills, stalls and crashes, held against the outside's own trails."""
