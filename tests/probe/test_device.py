"""What a device says of itself, from trees of files like Linux's."""

import builtins

import pytest

from edgefair.probe.device import conditions, fingerprint, saturates_int8, slowed_down


def write(root, contents):
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n")


def test_conditions_hold_what_can_be_read_and_nothing_made_up(tmp_path):
    assert conditions(0, tmp_path) == {}
    write(tmp_path, {"class/thermal/thermal_zone0/temp": "not a number"})
    assert conditions(0, tmp_path) == {}


def test_a_raspberry_pi_says_how_warm_it_is_and_whether_its_clock_is_held_down(tmp_path):
    write(
        tmp_path,
        {
            "devices/system/cpu/cpu3/cpufreq/scaling_cur_freq": 1500000,
            "devices/platform/soc/soc:firmware/get_throttled": "50005",
            "class/thermal/thermal_zone0/type": "cpu-thermal",
            "class/thermal/thermal_zone0/temp": 61200,
        },
    )
    found = conditions(3, tmp_path)
    assert found == {"temperature_c": 61.2, "mhz": 1500, "capped": True, "was_capped": True}
    assert "mhz" not in conditions(0, tmp_path), "of the core that is asked for"


def test_the_temperature_is_the_processors_and_not_the_first_zones(tmp_path):
    for index, (kind, millidegrees) in enumerate([("acpitz", 27800), ("x86_pkg_temp", 64000), ("iwlwifi_1", 80000)]):
        zone = f"class/thermal/thermal_zone{index}"
        write(tmp_path, {f"{zone}/type": kind, f"{zone}/temp": millidegrees})
    assert conditions(0, tmp_path) == {"temperature_c": 64.0}


def test_a_kernel_that_cools_by_slowing_down_says_so(tmp_path):
    for index, (kind, state) in enumerate([("pwm-fan", 3), ("cpufreq-cpu0", 0), ("devfreq-17000000.gpu", 0)]):
        device = f"class/thermal/cooling_device{index}"
        write(tmp_path, {f"{device}/type": kind, f"{device}/cur_state": state})
    assert conditions(0, tmp_path) == {"capped": False}, "a fan slows nothing down"
    write(tmp_path, {"class/thermal/cooling_device1/cur_state": 2})
    assert conditions(0, tmp_path) == {"capped": True}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, False),
        ({"capped": True}, {"capped": False}, False),
        ({"capped": False}, {"capped": True}, True),
        ({"throttle_count": 3}, {"throttle_count": 3}, False),
        ({"throttle_count": 3}, {"throttle_count": 4}, True),
        ({"was_capped": False}, {"capped": False, "was_capped": True}, True),
        ({"was_capped": True}, {"capped": False, "was_capped": True}, False),
    ],
)
def test_a_device_that_slows_itself_down_is_noticed(before, after, expected):
    assert slowed_down(before, after) is expected


def test_a_device_without_onnxruntime_says_what_else_it_is(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *rest)

    whole = fingerprint()
    monkeypatch.setattr(builtins, "__import__", without)
    found = fingerprint()
    assert {"onnxruntime", "providers"} <= whole.keys()
    assert found.keys() == whole.keys() - {"onnxruntime", "providers"}


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ({"machine": "x86_64", "flags": ["avx2"]}, True),
        ({"machine": "x86_64", "flags": ["avx512f"]}, True),
        ({"machine": "x86_64", "flags": ["avx2", "avx_vnni"]}, False),
        ({"machine": "x86_64", "flags": ["avx512f", "avx512_vnni"]}, False),
        ({"machine": "aarch64", "flags": ["asimd"]}, False),
    ],
)
def test_x86_without_vnni_saturates(device, expected):
    assert saturates_int8(device) is expected
