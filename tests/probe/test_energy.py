"""Meters on trees of files like those of Linux: powercap.rst, hwmon/sysfs-interface.rst, hwmon/ina3221.rst."""

import itertools

import pytest

from edgefair.probe.clock import energy
from edgefair.probe.clock.energy import BLOCKS, Counter, Power, find_meter, per_query, rails_power


@pytest.fixture(autouse=True)
def no_vcgencmd(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def files(folder, **contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_text(f"{content}\n")
    return folder


def package(root, number=0, energy_uj=1000, most=262143328850):
    return files(
        root / f"class/powercap/intel-rapl:{number}",
        name=f"package-{number}",
        energy_uj=energy_uj,
        max_energy_range_uj=most,
    )


def test_a_device_without_a_meter_has_none(tmp_path):
    assert find_meter(tmp_path) is None
    files(tmp_path / "class/hwmon/hwmon0", name="nvme", temp1_input=41850)
    files(tmp_path / "class/hwmon/hwmon1", name="amdgpu", power1_average=9000000)
    files(tmp_path / "class/powercap/intel-rapl:0:0", name="core", energy_uj=1)
    assert find_meter(tmp_path) is None, "an SSD's or a GPU's sensor is not the device's"


def test_rapl_counts_the_packages_and_neither_their_parts_nor_the_platform_twice(tmp_path):
    package(tmp_path, 0, energy_uj=100)
    package(tmp_path, 1, energy_uj=7)
    files(tmp_path / "class/powercap/intel-rapl:0:0", name="core", energy_uj=40, max_energy_range_uj=9)
    files(tmp_path / "class/powercap/intel-rapl:2", name="psys", energy_uj=500, max_energy_range_uj=9)
    files(tmp_path / "class/powercap/intel-rapl-mmio:0", name="package-0", energy_uj=100, max_energy_range_uj=9)
    meter = find_meter(tmp_path)
    assert meter.source == "RAPL package-0 + package-1"
    assert "processor alone" in meter.covers
    assert meter.read() == [100, 7]


def test_a_counter_that_this_user_may_not_read_is_no_meter(tmp_path):
    zone = package(tmp_path)
    (zone / "energy_uj").unlink()
    (zone / "energy_uj").mkdir()
    assert find_meter(tmp_path) is None


def test_the_energy_of_a_query_is_what_the_counter_moves_by(tmp_path):
    zone = package(tmp_path)
    costs = {"reference": 4000, "candidate": 1500}

    def spending(uj):
        def query():
            (zone / "energy_uj").write_text(str(int((zone / "energy_uj").read_text()) + uj))

        return query

    queries = {name: spending(uj) for name, uj in costs.items()}
    found = per_query(find_meter(tmp_path), queries, block_s=0.0, settling_s=0.0)
    assert found == {
        "source": "RAPL package-0",
        "covers": "the processor alone, all its cores, idle included",
        "mj": {"reference": [4.0] * BLOCKS, "candidate": [1.5] * BLOCKS},
    }


def test_a_counter_that_begins_again_goes_on_counting(tmp_path):
    file = tmp_path / "energy_uj"
    file.write_text("65532610000")
    counter = Counter("RAPL", "it", [(file, 65_532_610_987)])
    joules, queries = counter.joules(lambda: file.write_text("2013"), 0.0)
    assert (joules, queries) == (pytest.approx(0.003), 1)


def test_a_counter_without_a_range_that_goes_back_is_not_believed(tmp_path):
    file = tmp_path / "energy1_input"
    file.write_text("500")
    with pytest.raises(ValueError, match="reset"):
        Counter("ina228", "it", [(file, None)]).joules(lambda: file.write_text("20"), 0.0)


def test_a_counter_that_does_not_move_gives_no_energy_and_not_zero(tmp_path):
    package(tmp_path)
    assert per_query(find_meter(tmp_path), {"m": lambda: None}, block_s=0.0, settling_s=0.0) is None


def test_a_meter_that_vanishes_in_the_middle_gives_no_energy(tmp_path):
    zone = package(tmp_path)
    meter = find_meter(tmp_path)
    assert per_query(meter, {"m": (zone / "energy_uj").unlink}, block_s=0.0, settling_s=0.0) is None


def test_blocks_of_the_models_alternate_and_each_settles_first(tmp_path):
    order = []
    meter = Counter("c", "it", [])
    meter.joules = lambda query, seconds: (query(), (1.0, 1))[1]
    per_query(meter, {name: lambda name=name: order.append(name) for name in "ab"}, block_s=0.0, settling_s=0.0)
    assert "".join(order) == "aabb" * BLOCKS


def test_power_is_integrated_over_the_time_of_the_queries(monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(energy.time, "perf_counter", lambda: 0.25 * next(ticks))
    joules, queries = Power("p", "it", lambda: 8.0).joules(lambda: None, 1.0)
    assert (joules, queries) == (8.0, 4), "8 W for 1 s"


def ina3221(root, number, **rails):
    channels = {}
    for index, (label, (millivolts, milliamperes)) in enumerate(rails.items(), start=1):
        channels |= {f"in{index}_label": label, f"in{index}_input": millivolts, f"curr{index}_input": milliamperes}
    files(root / f"class/hwmon/hwmon{number}", name="ina3221", **channels)


def test_a_jetson_is_measured_at_the_modules_input(tmp_path):
    ina3221(tmp_path, 3, VDD_IN=(5000, 1200), VDD_CPU_GPU_CV=(5000, 400), VDD_SOC=(5000, 300))
    meter = find_meter(tmp_path)
    assert meter.source == "INA3221 VDD_IN"
    assert meter.covers == "the whole module, idle included"
    assert meter.watts() == 6.0


def test_the_rails_of_an_agx_orin_add_up(tmp_path):
    ina3221(tmp_path, 1, VDD_GPU_SOC=(20000, 100), VDD_CPU_CV=(20000, 50), VIN_SYS_5V0=(5000, 600))
    ina3221(tmp_path, 2, NC=(0, 0), VDDQ_VDD2_1V8AO=(5000, 90))
    assert find_meter(tmp_path).watts() == 2.0 + 1.0 + 3.0


def test_a_boards_own_meter_is_taken_before_the_processors_counter(tmp_path):
    package(tmp_path)
    files(tmp_path / "class/hwmon/hwmon2", name="power_meter", power1_average=45500000)
    meter = find_meter(tmp_path)
    assert (meter.source, meter.covers) == ("power_meter power1_average", "the whole machine, idle included")
    assert meter.watts() == 45.5


def test_one_ina2xx_feeds_the_board_and_of_several_none_is_known_to(tmp_path):
    files(tmp_path / "class/hwmon/hwmon0", name="ina260_u14", power1_input=3500000)
    assert find_meter(tmp_path).watts() == 3.5
    files(tmp_path / "class/hwmon/hwmon1", name="ina226_u76", power1_input=100000)
    assert find_meter(tmp_path) is None


PMIC = """ 3V7_WL_SW_A current(0)=0.10000000A
   VDD_CORE_A current(7)=2.00000000A
     3V3_DAC_A current(8)=0.00012213A
 3V7_WL_SW_V volt(8)=3.70000000V
   VDD_CORE_V volt(15)=0.75000000V
      EXT5V_V volt(24)=5.15000000V
"""


def test_the_rails_of_a_raspberry_pi_5_with_voltage_and_current_add_up(tmp_path):
    assert rails_power(PMIC) == pytest.approx(0.37 + 1.5)
    with pytest.raises(ValueError, match="no rail"):
        rails_power("Command not registered")
    command = tmp_path / "vcgencmd"
    command.write_text(f"#!/bin/sh\n[ \"$1\" = pmic_read_adc ] && printf '{PMIC}'\n")
    command.chmod(0o755)
    meter = find_meter(tmp_path / "sys")
    assert meter.source == "PMIC (vcgencmd)"
    assert meter.watts() == pytest.approx(1.87)
