import pytest

from edgefair.study.levels import read_extent
from edgefair.study.run.cells import cell_config, cell_rows, compress_config, data_config
from edgefair.study.run.prepared import rows_of
from tests.study.run.small_study import given

PLAN = """
study: people
factors:
  noise: [0, {flip: 0.4, where: {sex: F}, label: "yes"}]
  keep: [all, 100]
  thin: [none, {keep: 0.2, where: {sex: F}}]
  extent: [none, finetune-only, prune 0.5 fairprune, prune 0.5, sparsity 0.5, scratch 0.5, reordered, qat + int8, distil 0.5]
  treatment: [none, label-balance, label-balance during, before, label-balance + before, during, before + during, after]
seeds: 2
after_rows: 50
updates: 60
compress: {round_to: 1, beta: 0.25, scope: global}
"""  # noqa: E501


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    found = given(tmp_path_factory.mktemp("study"), PLAN)
    return found, rows_of(found)


def cell_of(study, **levels):
    wanted = {"noise": "0", "keep": "all", "thin": "none", "extent": "none", "treatment": "none", **levels}
    cells = study[0].plan.cells
    return next(cell for cell in cells if all(str(getattr(cell, name)) == text for name, text in wanted.items()))


def config_of(study, rows=400, **levels):
    return cell_config(study[0].config, study[0].plan, cell_of(study, **levels), rows=rows, runs="runs", run="dense")


def methods(items):
    return [(item.method, item.options) for item in items]


def test_a_treatment_weighs_the_training_that_it_is_for_and_the_balance_of_labels_the_others(study):
    def weighed(treatment):
        debias = config_of(study, treatment=treatment, extent="finetune-only").debias
        return methods(debias.train), methods(debias.finetune), methods(debias.post)

    whole, labels = [("reweigh", {})], [("reweigh", {"target": "labels"})]
    assert weighed("none") == ([], [], [])
    assert weighed("label-balance") == (labels, labels, [])
    assert weighed("label-balance during") == ([], labels, [])
    assert weighed("before") == (whole, [], [])
    assert weighed("label-balance + before") == (whole, labels, [])
    assert weighed("during") == ([], whole, [])
    assert weighed("before + during") == (whole, whole, [])
    assert weighed("after") == ([], [], [("threshold", {})])


def test_an_extent_takes_the_keys_of_the_plan_that_it_reads(study):
    plan = study[0].plan

    def asked(extent):
        found = compress_config(study[0].config.compress, plan, read_extent(extent), teacher="dense")
        return found.model_dump(exclude_defaults=True, exclude={"repair"})

    assert asked("none") == {}
    assert asked("finetune-only") == {"finetune_only": True}
    assert asked("prune 0.5") == {"prune": 0.5, "round_to": 1, "scope": "global"}
    assert asked("prune 0.5 fairprune")["beta"] == 0.25
    assert asked("sparsity 0.5") == {"sparsity": 0.5, "scope": "global"}
    assert asked("qat + int8") == {"qat": True, "int8": "static"}
    assert asked("cluster 16 + fp16") == {"cluster": 16, "fp16": True}
    assert asked("int8")["int8"] == "auto"
    assert asked("w4") == {"int8": "w4"}
    assert asked("prune 0.5 + a16w8") == {"prune": 0.5, "round_to": 1, "scope": "global", "int8": "a16w8"}
    assert asked("distil 0.5")["distill"]["student"] == 0.5


def test_a_network_from_scratch_is_narrower(study):
    assert config_of(study, extent="scratch 0.5").model.options == {"hidden": [8, 4]}


def test_every_size_gets_the_same_number_of_steps_and_no_arm_chooses_its_epoch(study):
    small, large = config_of(study, rows=128), config_of(study, rows=1280, treatment="before")
    assert small.train.epochs * 2 == large.train.epochs * 20 == 60
    assert {small.train.keep, large.train.keep, small.finetune.keep} == {"last"}
    assert small.finetune.epochs * 2 == small.train.epochs
    assert small.finetune.patience is None


def test_the_levels_of_purity_are_keys_of_the_data_and_the_seed_of_their_draws(study):
    base = study[0].config.data
    plain = data_config(base, cell_of(study))
    assert plain == base
    dirty = cell_of(study, noise='0.4 of {"sex": "F", "label": "yes"}', keep="100", thin='0.2 of {"sex": "F"}')
    found = data_config(base, dirty)
    assert found.noise[0].model_dump() == {"where": {"sex": ("F",)}, "label": ("yes",), "flip": 0.4}
    assert (found.keep, found.thin[0].keep, found.purity_seed) == (100, 0.2, dirty.seed)
    # What is fitted on validation rows sees no more of the cell than training does.
    assert found.thin[0].validation


def test_all_choose_on_the_same_rows_and_another_order_is_of_the_same_rows(study):
    data, plan = study[1], study[0].plan
    plain, other = (cell_rows(data, plan, cell_of(study, extent=name)) for name in ("none", "reordered"))
    assert len(plain.validation) == 50
    assert plain.validation.fingerprint == other.validation.fingerprint
    assert plain.train.fingerprint == other.train.fingerprint == data.train.fingerprint
    assert (plain.train.row_hashes != other.train.row_hashes).any()
    assert plain.audit is data.audit
