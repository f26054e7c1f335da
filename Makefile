# Shortcuts over CMake; each installs the Debian packages that it needs (scripts/packages.txt) and no others.
PREFIX ?= /usr/local
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc)

.PHONY: build test demo install clean bench bench-check test-all help

build: ## build the program and the library in build/
	@scripts/packages.sh build
	cmake --preset release --log-level=WARNING
	cmake --build build --target isolario_program isolario_static isolario_shared

test: ## build and run every test
	@scripts/packages.sh build test
	@scripts/venv.sh build/venv
	cmake --preset release --log-level=WARNING
	cmake --build build
	@scripts/test.sh build

demo: build ## train on data/paul15.h5ad and write demo/
	build/isolario fit data/paul15.h5ad --labels-key cluster -o demo --force
	@echo "Look at demo/report.html in a browser; demo/latent.h5ad holds the latent space, demo/model.safetensors the model."

install: build ## install to PREFIX (default /usr/local)
	cmake --install build --prefix $(PREFIX)

bench: build ## measure speed and quality: bench/run.sh
	@scripts/packages.sh bench
	bench/run.sh

bench-check: build ## is it slower than bench/expected.json? two minutes; never part of the tests
	python3 bench/check.py build/isolario

test-all: test ## the tests again with clang, sanitizers, fuzzers, on old x86-64 and 64-bit ARM
	@scripts/packages.sh portability
	@scripts/portability.sh clang sanitize fuzz old-x86 aarch64

clean: ## remove all that was built
	rm -rf build build-* demo

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## /\1\t/p' Makefile | expand -t 14
