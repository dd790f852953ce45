# make demo | test | lint | bench: each sets up what it needs in $(VENV) and runs.

PYTHON ?= python3
VENV ?= .venv
DEMO_DIR ?= runs/demo
DEMO_CELLS ?= 4000
DEMO_FLAGS ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CROPS := $(DEMO_DIR)/crops
SHARDS := $(DEMO_DIR)/shards
WORKDIR := $(DEMO_DIR)/workdir

.PHONY: demo test lint bench
.DELETE_ON_ERROR:

demo: $(SHARDS)/dataset.json
	@echo "[3/4] training all stages (about 10 minutes on 2 cores)"
	@$(BIN)/python train.py --data_dir=$(SHARDS) --workdir=$(WORKDIR) --preset=demo \
	  $(DEMO_FLAGS)
	@echo "[4/4] checking the shards and drawing their contact sheet"
	@$(BIN)/python -m data_prep inspect --data $(SHARDS)
	@echo
	@echo "Done. Look at"
	@echo "  $(SHARDS)/contact_sheet.png: the synthetic cells, a row a localization"
	@echo "  $(WORKDIR)/vqvae/reconstructions.png: original, both levels, each alone"
	@echo "  $(WORKDIR)/bottom/samples.png: generated bottom levels, a column a label"
	@echo "  $(WORKDIR)/*/metrics.jsonl: the figures, also for tensorboard" \
	  "--logdir $(WORKDIR)"

$(CROPS)/crops.csv: | $(INSTALLED)
	@echo "[1/4] drawing $(DEMO_CELLS) synthetic cells"
	@$(BIN)/python -m data_prep synthesize --output $(CROPS) \
	  --num_cells $(DEMO_CELLS) --size 64

$(SHARDS)/dataset.json: $(CROPS)/crops.csv
	@echo "[2/4] writing shards"
	@$(BIN)/python -m data_prep shard --crops $(CROPS) --output $(SHARDS) --overwrite

test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(INSTALLED)
	@mkdir -p runs && rm -f runs/bench.jsonl
	$(BIN)/python -m benchmarks.training --cases vqvae --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.training --cases top bottom --steps 1 \
	  --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.input_pipeline --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.sampling --batch_size 1 --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.sampling --batch_size 16 --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.sampling_growth --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.synthesize --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.demo_health --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.faults.kill --output runs/bench.jsonl

$(INSTALLED): setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "error: Python 3.11 to 3.13 is needed: set PYTHON=python3.x." \
	  "Received: $$($(PYTHON) --version)" >&2; exit 2; }
	@echo "installing into $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt \
	  -e .[prep,serving,tensorboard,dev]
	@touch $@
