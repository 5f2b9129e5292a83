"""Registration (DESIGN 2, rules 2, 3, 6 and 7): each refusal names the plugin and says why."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import pluggy
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from hauberk.accounts import Account
from hauberk.batch import SignedBatch
from hauberk.context import Context
from hauberk.errors import ConfigError, Denied, NotGranted, PluginRefused, StartFailed
from hauberk.guard import Guard
from hauberk.hooks import HOOKS, Plugin, blocking, hookimpl, hookspec
from hauberk.opening import load
from hauberk.plan import Plan, Planned
from hauberk.ports import PORTS
from hauberk.records import Event, Identity, Incident, Login, Outcome, Severity
from hauberk.registry import ASYNC_HOOKS, BOT_HOOKS, GRANTS, Part, check_order, implementations
from hauberk.request import Request, Response
from hauberk.settings import Settings
from hauberk.testing import DEFAULT_URL, FakeClock, PlainSigner, make_guard, make_plan
from hauberk.verdicts import Deny

ORDER = Request("POST", DEFAULT_URL, {"symbol": "BTCUSDT"})


class Quiet:
    """A guard that never objects."""

    def __init__(self) -> None:
        self.asked = 0

    @hookimpl
    def on_request(self, request: Request) -> None:
        self.asked += 1


def hook_taking(name: str, *parameters: str, is_async: bool = False) -> Any:
    """An object with one decorated hook that has these parameters after self."""
    source = f"{'async ' if is_async else ''}def {name}(self, {', '.join(parameters)}): return None"
    namespace: dict[str, Any] = {}
    exec(source, namespace)  # noqa: S102 - the hooks' names and parameters are data here
    return type("Made", (), {name: hookimpl(namespace[name])})()


def with_option(option: str, value: object, hook: str = "on_request") -> Any:
    """An object whose hook claims an option, as `hookimpl` would write it."""
    plugin = hook_taking(hook, *HOOKS[hook])
    getattr(type(plugin), hook).hauberk_impl[option] = value
    return plugin


def refused(plugin: object, name: str = "mine", **part: Any) -> str:
    """Register and return the reason; the error must name the plugin."""
    with make_guard() as guard, pytest.raises(PluginRefused) as caught:
        _ = (
            implementations(Part(name, plugin, **part))
            if part
            else guard.register(plugin, name=name)
        )
    assert caught.value.plugin == name
    assert repr(name) in str(caught.value)
    return caught.value.reason


# Rule 2: nobody can say "allow", wrap, reorder, or be ignored unnoticed.


@pytest.mark.parametrize("hook", sorted(BOT_HOOKS))
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("wrapper", True),
        ("hookwrapper", True),
        ("tryfirst", True),
        ("trylast", True),
        ("specname", "on_request"),
        ("optionalhook", True),
        ("firstresult", True),
    ],
)
def test_an_option_by_which_pluggy_lets_one_plugin_overrule_another_is_refused(
    hook: str, option: str, value: object
) -> None:
    reason = refused(with_option(option, value, hook))
    assert f"{hook} uses {option}" in reason
    assert "bare @hookimpl" in reason


def test_an_optional_hook_of_an_unknown_name_does_not_slip_past_the_check_for_misspelling() -> None:
    class Misspelt:
        @hookimpl(optionalhook=True)
        def on_requset(self, request: Request) -> None: ...

    assert "on_requset uses optionalhook" in refused(Misspelt())


def test_a_method_of_another_name_cannot_become_a_hook_by_specname() -> None:
    class Hidden:
        @hookimpl(specname="on_request")
        def harmless(self, request: Request) -> None: ...

    assert "harmless uses specname" in refused(Hidden())


def test_a_plugin_cannot_declare_a_specification_of_its_own_such_as_firstresult() -> None:
    class Declaring:
        @hookimpl
        @hookspec(firstresult=True)
        def on_request(self, request: Request) -> None: ...

    assert "on_request declares a specification" in refused(Declaring())


def test_a_misspelt_hook_is_refused_with_the_names_that_there_are() -> None:
    class Misspelt:
        @hookimpl
        def on_incidents(self, incident: Incident) -> None: ...

    reason = refused(Misspelt())
    assert "on_incidents is no hook" in reason
    assert all(hook in reason for hook in HOOKS)


@pytest.mark.parametrize("hook", sorted(HOOKS))
@pytest.mark.parametrize(
    "spoil",
    [
        lambda names: (*names, "extra"),
        lambda names: (*names, "extra=None"),
        lambda names: (*names, "*rest"),
        lambda names: (*names, "**rest"),
        lambda names: (*names, "*", "extra=None"),
        lambda names: ("*rest",),
        lambda names: ("other", *names[1:]) if names else ("other",),
        lambda names: names[:-1] if names else ("other",),
        lambda names: (*names, "/") if names else ("other", "/"),
        lambda names: tuple(f"{name}=None" for name in names) or ("other=None",),
    ],
)
def test_an_argument_list_unlike_the_specification_is_refused(
    hook: str, spoil: Callable[[tuple[str, ...]], Sequence[str]]
) -> None:
    plugin = hook_taking(hook, *spoil(HOOKS[hook]))
    reason = refused(plugin, grants=frozenset({"sign", "record", "verify"}))
    assert reason == f"{hook} must take exactly ({', '.join(HOOKS[hook])})"


def test_a_hook_that_is_given_a_class_in_place_of_an_object_is_refused() -> None:
    assert "on_request must take exactly (request)" in refused(Quiet)


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_a_method_with_a_hooks_name_that_lacks_the_decorator_would_be_ignored_and_is_refused(
    hook: str,
) -> None:
    other = "on_request" if hook == "on_login" else "on_login"
    plugin = hook_taking(other, *HOOKS[other])
    setattr(plugin, hook, lambda *args: None)
    reason = refused(plugin)
    assert f"{hook} lacks the decorator @hookimpl" in reason


class Inheriting(Plugin):
    interface = (1, 1)

    @hookimpl
    def on_request(self, request: Request) -> None: ...


def test_the_inherited_specification_is_no_forgotten_decorator() -> None:
    with make_guard() as guard:
        guard.register(Inheriting())
        assert set(guard.snapshot.hooks("inheriting")) == {"on_request"}


def test_overriding_a_decorated_hook_without_the_decorator_is_refused() -> None:
    class Child(Inheriting):
        def on_request(self, request: Request) -> Deny:
            return Deny("never heard")

    assert "on_request lacks the decorator" in refused(Child())


@pytest.mark.parametrize("value", [None, 5, "text", Deny("x")])
def test_a_hooks_name_that_holds_no_function_is_refused(value: object) -> None:
    plugin = Quiet()
    plugin.on_response = value  # type: ignore[attr-defined]
    assert "on_response lacks the decorator @hookimpl, or is no function" in refused(plugin)


def test_the_decorator_of_another_project_does_not_count() -> None:
    class Foreign:
        @pluggy.HookimplMarker("pytest")
        def on_request(self, request: Request) -> None: ...

    assert "on_request lacks the decorator" in refused(Foreign())


@pytest.mark.parametrize("hook", sorted(set(HOOKS) - ASYNC_HOOKS))
def test_async_def_is_refused_where_an_answer_is_waited_for(hook: str) -> None:
    plugin = hook_taking(hook, *HOOKS[hook], is_async=True)
    reason = refused(plugin, grants=frozenset({"sign", "record", "verify"}))
    assert f"{hook} is async def" in reason
    assert "@blocking" in reason


@pytest.mark.parametrize("hook", sorted(ASYNC_HOOKS))
def test_an_async_observer_is_welcome_on_a_loop_and_refused_without_one(hook: str) -> None:
    plugin = hook_taking(hook, *HOOKS[hook], is_async=True)
    assert "no event loop is running" in refused(plugin)

    async def register() -> str:
        with make_guard() as guard:
            return guard.register(plugin, name="mine")

    assert asyncio.run(register()) == "mine"


def test_an_async_responder_of_a_required_plugin_cannot_run_inline_and_is_refused() -> None:
    plugin = hook_taking("on_incident", "incident", is_async=True)
    loop = asyncio.new_event_loop()
    try:
        assert "runs inline" in refused(plugin, required=True, loop=loop)
    finally:
        loop.close()


def test_a_hook_that_yields_never_answers_and_is_refused() -> None:
    class Generating:
        @hookimpl
        def on_request(self, request: Request) -> Any:
            yield None

    assert "on_request contains yield" in refused(Generating())


def test_an_object_without_any_hook_is_refused_with_the_names_that_there_are() -> None:
    reason = refused(object())
    assert "implements no hook" in reason
    assert "on_request" in reason


def test_on_end_without_on_request_would_never_be_called_and_is_refused() -> None:
    assert "on_end without on_request" in refused(hook_taking("on_end", *HOOKS["on_end"]))


@pytest.mark.parametrize("error", [RuntimeError("not started"), SystemExit(3)])
def test_an_object_that_cannot_even_be_looked_at_is_refused(error: BaseException) -> None:
    class Hostile(Quiet):
        def __dir__(self) -> Any:
            raise error

    reason = refused(Hostile())
    assert f"looking at it raised {type(error).__name__}" in reason


def test_ctrl_c_while_an_object_is_looked_at_is_no_refusal() -> None:
    class Slow(Quiet):
        def __dir__(self) -> Any:
            raise KeyboardInterrupt

    with make_guard() as guard, pytest.raises(KeyboardInterrupt):
        guard.register(Slow())


def test_what_is_computed_in_place_of_a_hook_is_refused() -> None:
    class Computed:
        @property
        def on_request(self) -> Any:
            return hookimpl(lambda request: None)

    assert "on_request lacks the decorator @hookimpl, or is no function" in refused(Computed())


def test_a_plugin_that_shows_another_face_at_the_second_look_gains_nothing() -> None:
    """What pluggy takes down then is what is checked and called, and its options count for none."""
    looks = []

    class TwoFaced:
        @hookimpl
        def on_request(self, request: Request) -> Deny:
            return Deny("asked in its turn")

        def __dir__(self) -> Any:
            looks.append(1)
            if len(looks) > 1:
                type(self).on_request.hauberk_impl["tryfirst"] = True  # type: ignore[attr-defined]
            return super().__dir__()

    with make_guard(("policy", Quiet())) as guard:
        guard.register(TwoFaced())
        assert len(looks) > 1
        assert [impl.name for impl in guard.snapshot.guards] == ["killswitch", "policy", "twofaced"]
        with pytest.raises(Denied, match="denied by twofaced: asked in its turn"):
            guard.clear(ORDER)


def test_a_method_replaced_after_registration_is_not_what_is_called() -> None:
    plugin = Quiet()
    with make_guard() as guard:
        guard.register(plugin)
        plugin.on_request = lambda request: Deny("swapped")  # type: ignore[method-assign]
        guard.clear(ORDER)
        assert plugin.asked == 1


def test_a_hook_behind_an_authors_own_decorator_is_accepted() -> None:
    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return inner

    class Decorated:
        @hookimpl
        @counted
        def on_request(self, request: Request) -> Deny:
            return Deny("counted")

    with make_guard() as guard:
        guard.register(Decorated())
        with pytest.raises(Denied, match="denied by decorated: counted"):
            guard.clear(ORDER)


def test_a_function_that_lies_about_its_arguments_denies_when_it_is_called() -> None:
    class Lying:
        @hookimpl
        def on_request(self, *, anything: object) -> None: ...

    Lying.on_request.__signature__ = inspect.signature(Quiet.on_request)  # type: ignore[attr-defined]
    with make_guard() as guard:
        guard.register(Lying())
        with pytest.raises(Denied, match="denied by lying: on_request raised TypeError"):
            guard.clear(ORDER)


def test_blocking_is_seen_above_and_below_the_decorator_of_a_hook() -> None:
    class Above:
        @blocking
        @hookimpl
        def on_request(self, request: Request) -> None: ...

    class Below:
        @hookimpl
        @blocking
        def on_request(self, request: Request) -> None: ...

    for plugin in (Above(), Below()):
        assert implementations(Part("mine", plugin))["on_request"].is_blocking


# Names: every denial and incident is attributed by them.


@pytest.mark.parametrize("name", ["kernel", "bot", "bots", "killswitch", "signing", "providers"])
def test_a_hook_registered_at_run_time_cannot_take_a_name_that_stands_for_another(
    name: str,
) -> None:
    assert "reserved" in refused(Quiet(), name)


@pytest.mark.parametrize("name", ["kernel", "bot", "bots", "request", "login", "incident"])
def test_a_loaded_plugin_cannot_speak_as_the_kernel_nor_emit_its_events(name: str) -> None:
    assert "reserved" in refused(Quiet(), name, origin="quiet-hours 1.0")


def test_a_class_named_like_a_built_in_does_not_pass_for_it() -> None:
    class KillSwitch(Quiet): ...

    with make_guard() as guard, pytest.raises(PluginRefused, match=r"'killswitch'.*reserved"):
        guard.register(KillSwitch())


class Chameleon(str):
    """Text that equals nothing and is found in no set."""

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return id(self)


@pytest.mark.parametrize("name", [Chameleon("killswitch"), 5, b"mine", ("mine",)])
def test_a_name_that_is_not_exactly_text_is_refused(name: Any) -> None:
    with make_guard() as guard, pytest.raises(PluginRefused, match="name must be text"):
        guard.register(Quiet(), name=name)


@pytest.mark.parametrize(
    "name", ["a\nWARNING policy denies", "\x1b[2J", " killswitch", "policy ", "a\u202eb", "x" * 65]
)
def test_a_name_that_would_forge_a_line_of_a_log_or_look_like_another_is_refused(
    name: str,
) -> None:
    with make_guard() as guard, pytest.raises(PluginRefused, match="printable") as caught:
        guard.register(Quiet(), name=name)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_name_or_an_object_registered_twice_is_refused() -> None:
    with make_guard() as guard:
        plugin = Quiet()
        guard.register(plugin, name="mine")
        with pytest.raises(PluginRefused, match="'mine' is refused: the name is taken"):
            guard.register(Quiet(), name="mine")
        with pytest.raises(PluginRefused, match="the same object is registered already"):
            guard.register(plugin, name="other")
        assert guard.register(Quiet()) == "quiet"


def test_a_refused_plugin_changes_nothing() -> None:
    with make_guard() as guard:
        before = guard.snapshot, guard.kernel.epoch
        with pytest.raises(PluginRefused):
            guard.register(object())
        with pytest.raises(PluginRefused):
            guard.on_request(lambda wrong: None)
        assert (guard.snapshot, guard.kernel.epoch) == before


def test_functions_of_one_name_are_told_apart() -> None:
    with make_guard() as guard:
        for _ in range(2):

            @guard.on_request
            def small(request: Request) -> None: ...

        assert [impl.name for impl in guard.snapshot.guards] == ["killswitch", "small", "small-1"]


def test_a_function_decorated_as_a_hook_is_checked_like_a_method() -> None:
    with make_guard() as guard:
        with pytest.raises(PluginRefused, match="'small' is refused: on_request must take exactly"):

            @guard.on_request
            def small(order: Request) -> None: ...

        with pytest.raises(PluginRefused, match="async def"):

            @guard.on_request
            async def late(request: Request) -> None: ...

        with pytest.raises(PluginRefused, match="plain function"):
            guard.on_request(Quiet().on_request)


# Rule 3: the one order.


def test_bots_stand_where_the_list_says_in_the_sequence_of_their_registration() -> None:
    plan = {"order": ["killswitch", "policy", "bots", "throttle", "signing"]}
    with make_guard(("policy", Quiet()), ("throttle", Quiet()), **plan) as guard:  # type: ignore[arg-type]
        guard.register(Quiet(), name="b")
        guard.register(Quiet(), name="a")
        names = [impl.name for impl in guard.snapshot.guards]
        assert names == ["killswitch", "policy", "b", "a", "throttle"]


@pytest.mark.parametrize(
    ("order", "culprit", "reason"),
    [
        (["policy", "killswitch", "bots", "throttle"], "killswitch", "must be the first"),
        ([], "killswitch", "must be the first"),
        (["killswitch", "bots", "throttle", "policy"], "policy", "hold a charge"),
        (["killswitch", "policy", "throttle", "bots"], "bots", "hold a charge"),
        (["killswitch", "bots", "policy", "throttle"], "bots", "judge first"),
        (["killswitch", "policy", "bots", "policy", "throttle"], "policy", "listed twice"),
        (["killswitch", "killswitch", "policy", "bots"], "killswitch", "listed twice"),
    ],
)
def test_an_order_in_which_a_guard_is_outrun_or_holds_a_charge_is_refused(
    order: list[str], culprit: str, reason: str
) -> None:
    problems = check_order(order, frozenset({"killswitch", "policy", "throttle"}))
    assert any(name == culprit and name in why and reason in why for name, why in problems)
    with pytest.raises(PluginRefused) as caught:
        make_guard(("policy", Quiet()), ("throttle", Quiet()), order=[*order, "signing"])
    assert (caught.value.plugin, caught.value.reason) in problems


@given(st.permutations(["killswitch", "policy", "bots", "throttle", "other", "observer"]))
def test_an_order_stands_exactly_if_the_kill_switch_is_first_and_no_guard_follows_throttle(
    order: list[str],
) -> None:
    guards = frozenset({"killswitch", "policy", "throttle", "other"})
    at = {name: order.index(name) for name in order}
    stands = (
        at["killswitch"] == 0
        and all(at[name] < at["throttle"] for name in ("policy", "bots", "other"))
        and at["policy"] < at["bots"]
    )
    assert (check_order(order, guards) == []) is stands


def test_what_implements_hooks_and_stands_in_no_list_is_refused() -> None:
    with pytest.raises(PluginRefused, match=r"'policy'.*not listed in `plugins:`"):
        make_guard(("policy", Quiet()), order=["killswitch", "bots", "signing"])


def test_without_an_entry_bots_nothing_can_be_registered_at_run_time() -> None:
    with (
        make_guard(order=["killswitch", "signing"]) as guard,
        pytest.raises(PluginRefused, match="no entry 'bots'"),
    ):
        guard.register(Quiet())


# Rule 6: grants.


class Amending:
    @hookimpl
    def on_request(self, request: Request) -> Request:
        return request.amend(params={"symbol": "ETHUSDT"})


class Vouching:
    @hookimpl
    def on_login(self, login: Login) -> Identity:
        return Identity(login.user, ("admin",))


class Recording:
    @hookimpl
    def on_event(self, event: Event) -> None: ...


class Verifying:
    @hookimpl
    def verify_batch(self, batch: SignedBatch) -> bytes | None: ...


@pytest.mark.parametrize(
    ("plugin", "hook", "grant"),
    [
        (PlainSigner(), "sign_request", "sign"),
        (Recording(), "on_event", "record"),
        (Verifying(), "verify_batch", "verify"),
    ],
)
def test_a_hook_that_goes_beyond_objecting_is_refused_without_its_grant(
    plugin: object, hook: str, grant: str
) -> None:
    reason = refused(plugin, origin="quiet-hours 1.0")
    assert reason == f"{hook} needs the grant {grant!r} in hauberk.yml"
    assert hook in implementations(
        Part("mine", plugin, frozenset({grant}), origin="quiet-hours 1.0")
    )


@pytest.mark.parametrize("grant", ["allow", "admin", "Sign", "*", ""])
def test_a_grant_that_does_not_exist_is_refused(grant: str) -> None:
    assert f"{grant} is no grant" in refused(Quiet(), grants=frozenset({grant}))


@pytest.mark.parametrize("hook", sorted(set(HOOKS) - BOT_HOOKS))
def test_a_hook_registered_at_run_time_is_no_signer_engine_or_lifecycle(hook: str) -> None:
    reason = refused(hook_taking(hook, *HOOKS[hook]))
    assert f"may not {hook}" in reason
    assert "third_party in hauberk.yml" in reason


@pytest.mark.parametrize("grant", sorted(GRANTS))
def test_a_hook_registered_at_run_time_has_no_grant(grant: str) -> None:
    assert "have grants" in refused(Quiet(), grants=frozenset({grant}), origin="bot")


def test_a_hook_registered_at_run_time_is_not_required() -> None:
    assert "third_party" in refused(Recording(), required=True, origin="bot")


def test_a_bots_guard_that_amends_or_vouches_is_denied_since_it_has_no_grant() -> None:
    with make_guard() as guard:
        guard.register(Amending())
        with pytest.raises(Denied, match=r"denied by amending: .*without the grant 'amend'"):
            guard.clear(ORDER)
        guard.register(Vouching())
        with pytest.raises(Denied, match=r"denied by vouching: .*grant 'authenticate'"):
            guard.login(Login("mallory"))


def test_two_plugins_cannot_both_authenticate() -> None:
    class Other(Vouching): ...

    with pytest.raises(PluginRefused, match=r"'other'.*vouching has the grant 'authenticate'"):
        make_guard(
            Vouching(),
            Other(),
            grants={"vouching": ["authenticate"], "other": ["authenticate"]},
        )


class Holding(Plugin):
    """Keeps its context."""

    interface = (1, 1)

    @hookimpl
    def on_start(self, context: Any) -> None:
        self.context = context


@pytest.mark.parametrize("port", PORTS)
def test_a_port_is_not_to_be_had_without_the_grant_of_its_name(port: str) -> None:
    holding = Holding()
    with make_guard(holding, grants={"holding": [p for p in PORTS if p != port]}):
        with pytest.raises(NotGranted) as caught:
            getattr(holding.context, port)
        assert (caught.value.plugin, caught.value.grant) == ("holding", port)
        assert "hauberk.yml" in str(caught.value)
        assert not holding.context.has(port)


def test_a_port_that_nobody_provides_is_said_so() -> None:
    holding = Holding()
    with (
        make_guard(holding, grants={"holding": ["transport"]}),
        pytest.raises(NotGranted, match=r"name a provider: `ports: \{transport"),
    ):
        _ = holding.context.transport


def test_what_is_stored_is_namespaced_by_plugin() -> None:
    one, other = Holding(), Holding()
    grants = {"one": ["store", "vault"], "other": ["store", "vault"]}
    with make_guard(("one", one), ("other", other), grants=grants):
        one.context.store.put("halt", b"yes")
        assert other.context.store.get("halt") is None
        with pytest.raises(Exception, match="not sealed under this name"):
            other.context.vault.open("key", one.context.vault.seal("key", b"x"))


@pytest.mark.parametrize(
    "help_itself",
    [
        lambda context: setattr(context, "grants", GRANTS),
        lambda context: setattr(context, "name", "killswitch"),
        lambda context: context.settle(GRANTS),
    ],
    ids=["grants", "name", "settle"],
)
def test_a_plugin_cannot_help_itself_to_grants_or_to_the_name_of_another(
    help_itself: Callable[[Any], None],
) -> None:
    holding = Holding()
    with make_guard(holding):
        with pytest.raises(AttributeError):
            help_itself(holding.context)
        with pytest.raises(NotGranted, match="'holding' may not use 'store'"):
            _ = holding.context.store


def test_a_plugin_cannot_give_an_account_more_rights_or_another_venue() -> None:
    holding = Holding()
    with make_guard(holding) as guard:
        with pytest.raises(TypeError):
            holding.context.accounts["main"] = Account("open", base_url="https://evil.test")
        guard.register(Quiet())  # binds the accounts anew
        guard.clear(ORDER)


def test_an_account_is_signed_for_by_the_signer_that_it_names_and_no_other() -> None:
    class Eager(PlainSigner):
        @hookimpl
        def sign_request(self, request: Request) -> Request:
            raise AssertionError("nobody named it")

    order = ["killswitch", "bots", "eager", "signing"]
    with make_guard(Eager(), grants={"eager": ["sign"]}, order=order) as guard:
        assert guard.clear(ORDER).request.url.startswith(DEFAULT_URL)


# Rule 7: discovery, and what a required plugin means.


def planned(
    name: str, cls: Callable[[], object], *, required: bool = False, grants: Sequence[str] = ()
) -> Planned:
    return Planned(name, cls, None, frozenset(grants), required, "test")


def plan_with(*extra: Planned) -> Plan:
    plan = make_plan()
    names = dict.fromkeys(one.name for one in extra)
    return Plan(
        plan.settings, ["killswitch", *names, "bots", "signing"], [*plan.planned, *extra], (),
        plan.reserved | {*names},
    )  # fmt: skip


class FailsToStart(Quiet):
    @hookimpl
    def on_start(self, context: object) -> None:
        raise OSError("no such device")


def _raises() -> object:
    raise ImportError("a broken release")


@pytest.mark.parametrize(
    ("cls", "reason"),
    [
        (_raises, "a broken release"),
        (FailsToStart, "no such device"),
        (object, "implements no hook"),
    ],
)
def test_a_required_plugin_that_fails_stops_the_start_and_any_other_is_skipped_with_a_warning(
    cls: Callable[[], object], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StartFailed, match=reason) as caught:
        Guard(plan_with(planned("mine", cls, required=True)), clock=FakeClock())
    assert caught.value.plugin == "mine"
    guard = Guard(plan_with(planned("mine", cls)), clock=FakeClock())
    with guard:
        assert "mine" not in [part.name for part, _ in guard.snapshot.parts]
        assert "plugin mine is skipped" in caplog.text
        assert reason in caplog.text
        guard.clear(ORDER)


def test_every_required_plugin_that_fails_is_named_with_its_reason() -> None:
    plan = plan_with(
        planned("one", _raises, required=True),
        planned("optional", FailsToStart),
        planned("two", FailsToStart, required=True),
    )
    with pytest.raises(StartFailed) as caught:
        Guard(plan, clock=FakeClock())
    assert caught.value.plugin == "one"
    assert [name for name, _ in caught.value.others] == ["two"]
    first, second = str(caught.value).splitlines()
    assert first.startswith("plugin 'one' is required and did not start")
    assert first.endswith("a broken release")
    assert second == ("plugin 'two' is required and did not start: raised OSError: no such device")
    assert isinstance(caught.value.__cause__, ImportError)


def test_what_only_waits_for_a_port_that_failed_is_not_blamed_for_it_nor_started() -> None:
    made: list[str] = []

    class Provides(FailsToStart):
        provides = {"store": "here"}
        here = None

    class Needs(Quiet):
        provides = {"vault": "here"}
        here = None

        def __init__(self) -> None:
            made.append("needs")

    class NeedsThat(Quiet):
        def __init__(self) -> None:
            made.append("needs that")

    plan = plan_with(
        planned("provides", Provides),
        planned("needs", Needs, grants=["store"]),
        planned("needs_that", NeedsThat, required=True, grants=["vault"]),
        planned("other", FailsToStart, required=True),
    )
    ports = {**plan.settings.ports, "store": "provides", "vault": "needs"}
    plan = evolve(plan, settings=evolve(plan.settings, ports=ports))
    with pytest.raises(StartFailed) as caught:
        Guard(plan, clock=FakeClock())
    assert (caught.value.plugin, [name for name, _ in caught.value.others]) == (
        "provides", ["other"],
    )  # fmt: skip
    assert made == []


def test_what_did_not_start_is_told_with_what_is_wrong_in_the_file() -> None:
    class Finds(Quiet):
        @hookimpl
        def on_start(self, context: Context) -> None:
            raise ConfigError([context.problem(("limit",), "is too small")])

    plan = plan_with(planned("gone", _raises, required=True), planned("finds", Finds))
    with pytest.raises(ConfigError) as caught:
        Guard(plan, clock=FakeClock())
    assert sorted(problem.path for problem in caught.value.problems) == [
        "finds.limit", "plugins.1",
    ]  # fmt: skip
    assert "'gone' is required and did not start" in str(caught.value)


def test_a_kill_switch_that_failed_is_not_skipped_whatever_the_list_of_required_says() -> None:
    plan = make_plan()
    others = [one for one in plan.planned if one.name != "killswitch"]
    with pytest.raises((StartFailed, PluginRefused), match="killswitch"):
        Guard(
            Plan(plan.settings, plan.order, [*others, planned("killswitch", _raises)]),
            clock=FakeClock(),
        )


def test_a_plugin_that_calls_exit_while_it_is_made_does_not_end_the_program() -> None:
    def exits() -> object:
        raise SystemExit(3)

    with Guard(plan_with(planned("mine", exits)), clock=FakeClock()) as guard:
        guard.clear(ORDER)
    with pytest.raises(StartFailed, match="mine"):
        Guard(plan_with(planned("mine", exits, required=True)), clock=FakeClock())


def test_a_second_plugin_of_one_name_does_not_silently_replace_the_first() -> None:
    with pytest.raises(PluginRefused, match=r"'policy'.*taken"):
        Guard(plan_with(planned("policy", Quiet), planned("policy", Quiet)), clock=FakeClock())


def test_what_was_started_before_a_required_plugin_failed_is_stopped_again() -> None:
    told = []

    class Started(Plugin):
        interface = (1, 1)

        @hookimpl
        def on_start(self, context: object) -> None:
            told.append("start")

        @hookimpl
        def on_stop(self) -> None:
            told.append("stop")

    with pytest.raises(StartFailed):
        Guard(
            plan_with(planned("early", Started), planned("mine", _raises, required=True)),
            clock=FakeClock(),
        )
    assert told == ["start", "stop"]


def test_bots_may_observe_respond_and_record() -> None:
    seen = []

    class Everything:
        @hookimpl
        def on_response(self, request: Request, response: Response) -> None:
            seen.append(response.status)

        @hookimpl
        def on_incident(self, incident: Incident) -> Outcome:
            seen.append(incident.title)
            return Outcome("seen")

        @hookimpl
        def on_event(self, event: Event) -> None:
            seen.append(event.kind)

    with make_guard() as guard:
        guard.register(Everything())
        guard.settle(guard.clear(ORDER), Response(200))
        guard.report("slow", Severity.LOW)
    assert {200, "slow", "request.intent", "request.left", "incident.handled"} <= {*seen}


def test_a_port_whose_provider_has_it_not_stops_the_start() -> None:
    plan = make_plan()
    settings = Settings(accounts=plan.settings.accounts, ports={"keys": "killswitch"})
    with pytest.raises(StartFailed, match=r"killswitch.*'keys'"):
        Guard(Plan(settings, plan.order, plan.planned), clock=FakeClock())


def test_a_configuration_that_names_no_kill_switch_is_an_error_of_the_file(tmp_path: Any) -> None:
    path = tmp_path / "hauberk.yml"
    path.write_text("plugins: [bots, signing]\n")
    with pytest.raises(ConfigError, match="killswitch must be the first"):
        load(path)
