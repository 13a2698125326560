# The front door. Meson does the building; see README.md.
BUILD ?= build
.PHONY: all build deps image run down test unit fuzz bench lint repro coverage clean
.DEFAULT_GOAL := all

all: build

deps:
	@scripts/deps.sh

build:
	@scripts/build.sh $(BUILD)

image: build
	@scripts/image.sh

run: deps
	@scripts/run.sh

down:
	@$(BUILD)/bin/dstack down

test:
	@scripts/deps.sh test
	@scripts/test.sh

unit: deps
	@scripts/test.sh unit

fuzz: deps
	@scripts/test.sh fuzz

bench: deps build
	@scripts/bench.sh $(BENCH) $(if $(JSON),--json)

repro: deps build
	@os/repro.sh

coverage: deps
	@scripts/coverage.sh

lint:
	@scripts/lint.sh

clean:
	rm -rf build build-asan build-clang build-coverage build-fuzz
