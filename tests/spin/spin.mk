# Models of the frame ring, the sleeping readers, the lease and the undo of an array. Included by the root Makefile; needs spin.
.PHONY: spin spin-long
spin:
	python3 tests/spin/run.py --cc "$(CC)" --build $(B)/spin

spin-long:
	python3 tests/spin/run.py --cc "$(CC)" --build $(B)/spin --long
