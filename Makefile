# make demo | test | lint | bench: each sets up what it needs in $(VENV) and runs.

PYTHON ?= python3
VENV ?= .venv
DEMO_DIR ?= runs/demo
DEMO_CELLS ?= 4000
DEMO_FLAGS ?=
# Enough for a first look; `evaluate` alone trains its classifier five times as long.
REPORT_FLAGS ?= --classifier_steps=300

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CROPS := $(DEMO_DIR)/crops
SHARDS := $(DEMO_DIR)/shards
WORKDIR := $(DEMO_DIR)/workdir
EXPORT := $(DEMO_DIR)/export
CELLS := $(DEMO_DIR)/cells
REPORT := $(DEMO_DIR)/report

.PHONY: demo test lint bench always
.DELETE_ON_ERROR:

demo: $(SHARDS)/dataset.json
	@$(BIN)/python -m data_prep inspect --data $(SHARDS)
	@echo "[3/7] training all stages (8 to 9 minutes on 2 cores)"
	@$(BIN)/python train.py --data_dir=$(SHARDS) --workdir=$(WORKDIR) --preset=demo \
	  $(DEMO_FLAGS)
	@echo "[4/7] exporting"
	@$(BIN)/python export.py --workdir=$(WORKDIR) --export_dir=$(EXPORT)
	@echo "[5/7] verifying the export in a process without Keras and this project"
	@$(BIN)/python -m tfvqgen verify --model $(EXPORT)
	@echo "[6/7] sampling cells from the export"
	@$(BIN)/python -m tfvqgen sample --model $(EXPORT) --output $(CELLS) --overwrite \
	  --num_per_label 6 --batch_size 64 --guidance 0.5 --top_p 0.95
	@cp $(CELLS)/samples.png $(DEMO_DIR)/samples.png
	@echo "[7/7] measuring"
	@$(BIN)/python -m tfvqgen evaluate --workdir $(WORKDIR) --data_dir $(SHARDS) \
	  --output $(REPORT) $(REPORT_FLAGS)
	@echo
	@echo "Done. Look at"
	@echo "  $(DEMO_DIR)/samples.png: generated cells, a row a localization"
	@echo "  $(REPORT)/index.html: what the models can and cannot do, in a browser"
	@echo "  $(SHARDS)/contact_sheet.png: the synthetic cells that they learnt from"
	@echo "  $(EXPORT): what TensorFlow Serving serves"
	@echo "at $(WORKDIR) with $(BIN)/tensorboard --logdir, and play with the model:"
	@echo "  $(BIN)/python -m tfvqgen app --model $(EXPORT)"

# Asked each time: a finished folder is left as it is, and another number is refused.
$(CROPS)/crops.csv: always | $(INSTALLED)
	@echo "[1/7] drawing $(DEMO_CELLS) synthetic cells"
	@$(BIN)/python -m data_prep synthesize --output $(CROPS) \
	  --num_cells $(DEMO_CELLS) --size 64

$(SHARDS)/dataset.json: $(CROPS)/crops.csv
	@echo "[2/7] writing shards"
	@$(BIN)/python -m data_prep shard --crops $(CROPS) --output $(SHARDS) --overwrite

test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto --dist loadgroup

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

bench: $(INSTALLED)
	@mkdir -p runs && rm -f runs/bench.jsonl
	$(BIN)/python -m benchmarks.training --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.input_pipeline --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.sampling --batch_size 1 --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.sampling --batch_size 16 --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.saved_model --preset demo --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.saved_model --preset hpa128 --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.segmentation --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.cropping --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.sharding --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.screening --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.embedding --output runs/bench.jsonl
	$(BIN)/python -m benchmarks.faults --output runs/bench.jsonl

$(INSTALLED): setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "error: Python 3.11 to 3.13 is needed: set PYTHON=python3.x." \
	  "Received: $$($(PYTHON) --version)" >&2; exit 2; }
	@echo "installing into $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt \
	  -e '.[app,prep,screen,evaluate,beam,serving,tensorboard,plot,dev]'
	@touch $@
