import pytest

from edgefair.errors import UsageError
from edgefair.targets import load_profile


@pytest.mark.parametrize(
    ("spec", "host", "port"),
    [
        ("ssh://kitchen", "kitchen", None),
        ("ssh://Pi@Kitchen.local:2222", "Pi@Kitchen.local", 2222),
        ("ssh://pi@[fe80::1]:22", "pi@fe80::1", 22),
    ],
)
def test_an_address_is_a_target_of_that_name(spec, host, port):
    profile = load_profile(spec)
    assert (profile.name, profile.transport, profile.ssh.host, profile.ssh.port) == (spec, "ssh", host, port)


def test_a_profile_before_an_address_gives_its_settings_to_that_machine():
    profile = load_profile("raspberry-pi-5=ssh://pi@kitchen")
    shipped = load_profile("raspberry-pi-5")
    assert profile.ssh.host == "pi@kitchen"
    assert profile.name == "raspberry-pi-5=ssh://pi@kitchen"
    assert (profile.device, profile.reduce_range) == (shipped.device, shipped.reduce_range)
    assert shipped.ssh.host == "raspberry-pi-5"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ssh://pi:secret@kitchen", "contains a password"),
        ("ssh://", "is not an address"),
        ("ssh://-oProxyCommand=true", "is not an address"),
        ("ssh://-l@kitchen", "is not an address"),
        ("ssh://kitchen:99999", "is not an address"),
        ("ssh://kitchen/path", "is not an address"),
        ("ssh://kitchen;reboot", "is not an address"),
        ("ssh://a b", "is not an address"),
        ("raspberry-pi-6=ssh://kitchen", "unknown target 'raspberry-pi-6'.*did you mean 'raspberry-pi-"),
        ("qemu:haswell=ssh://kitchen", "is emulated and has no address"),
    ],
)
def test_what_is_no_address_is_a_usage_error(spec, message):
    with pytest.raises(UsageError, match=message) as error:
        load_profile(spec)
    assert "secret" not in str(error.value)
