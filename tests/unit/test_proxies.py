"""Proxies of the environment: never for this machine, and named when they are in the way."""

import pytest

from ensemble.lazy import import_on_first_use
from ensemble.proxies import exempt_loopback, proxy_variable

REGISTRY = "http://registry.example:8080/apis"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_variable_that_sends_a_request_through_a_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_variable(REGISTRY) == ""
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    assert proxy_variable(REGISTRY) == "http_proxy"
    assert proxy_variable("https://registry.example/apis") == ""
    monkeypatch.setenv("no_proxy", "registry.example")
    assert proxy_variable(REGISTRY) == ""
    assert proxy_variable("http://other.example") == "http_proxy"
    assert proxy_variable("http:apis") == "http_proxy", "it names no machine"


def test_a_proxy_for_all_is_named_where_there_is_none_of_the_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    assert proxy_variable(REGISTRY) == "ALL_PROXY"


def test_this_machine_is_exempt_beside_what_was_exempt() -> None:
    variables = {"no_proxy": "a.example, ::1,"}
    exempt_loopback(variables)
    assert variables["no_proxy"] == variables["NO_PROXY"] == "a.example,::1,localhost,127.0.0.1,127.0.0.0/8,[::1]"
    bare: dict[str, str] = {"NO_PROXY": "b.example"}
    exempt_loopback(bare)
    assert bare["no_proxy"].split(",")[:2] == ["b.example", "localhost"]


def test_a_costly_name_is_imported_when_it_is_first_used_and_another_is_none() -> None:
    import_name = import_on_first_use("shop", {"OrderedDict": "collections"})
    assert import_name("OrderedDict").__name__ == "OrderedDict"
    with pytest.raises(AttributeError, match="module 'shop' has no attribute 'Order'"):
        import_name("Order")
