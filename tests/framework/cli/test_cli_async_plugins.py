"""A plugin that needs the event loop of a bot: the command line, which has none, brings one."""

import pytest

TICKER = "https://api.binance.com/api/v3/ticker/price"
ASYNC = """
    import asyncio
    from hauberk.command import Check, started
    from hauberk.records import Outcome, Severity

    LOG = []

    class Quiet(Base):
        @hookimpl
        def on_start(self, context):
            self.loop = asyncio.get_running_loop()
            self.task = self.loop.create_task(self.listen())

        async def listen(self):
            await asyncio.Event().wait()

        @hookimpl
        def on_stop(self):
            assert asyncio.get_running_loop() is self.loop
            LOG.append("stopped")

        @hookimpl
        async def on_incident(self, incident):
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is self.loop
            return Outcome("told")

        @hookimpl
        async def on_response(self, request, response):
            pass

        @hookimpl
        def on_doctor(self):
            return [Check("listening", "fail" if self.task.done() else "ok", "as it should")]

        @hookimpl
        def on_commands(self):
            return [Command("page", page)]

    async def nothing():
        return "nothing"

    def page(*, options: Options = Options()):
        with started(options.config, "quiet") as running:
            incident = running.guard.report("a test", Severity.LOW)
            said = asyncio.run(nothing())
        return [incident.outcomes[-1].did, said, *LOG]
"""


@pytest.fixture
def run(hauberk, config, third_party, keys):
    """Run a command line of a bot that has a plugin with `async def` hooks."""
    third_party(ASYNC)
    return lambda *words: hauberk(*words, "--config", config, "--json")


def test_plugins_shows_its_hooks_and_no_problem(run):
    (quiet,) = [one for one in run("plugins").document["plugins"] if one["plugin"] == "quiet"]
    assert quiet["problem"] == ""
    assert "on_incident" in {hook["hook"] for hook in quiet["hooks"]}


def test_doctor_starts_it_and_its_tasks_run_meanwhile(run):
    checks = {check["what"]: check for check in run("doctor").document["checks"]}
    assert "quiet" in checks["plugins"]["found"]
    assert checks["listening"]["status"] == "ok"


def test_sign_signs_where_one_is_required(hauberk, config, third_party, edit, keys):
    third_party("""
        class Quiet(Base):
            @hookimpl
            async def on_response(self, request, response):
                pass
    """)
    edit("required: [killswitch", "required: [quiet, killswitch")
    assert hauberk("sign", "GET", TICKER, "symbol=BTCUSDT", "--config", config).status == 0


def test_a_command_of_it_is_found_and_has_its_responder_answer_before_it_ends(run):
    # And the command may run a loop of its own.
    assert run("page").document == ["told", "nothing", "stopped"]


def test_a_plugin_that_cannot_be_made_is_named_whether_it_is_async_or_not(
    hauberk, config, third_party
):
    third_party("""
        class Quiet(Base):
            def __init__(self):
                raise OSError("no such device")

            @hookimpl
            async def on_incident(self, incident):
                pass
    """)
    shown = hauberk("plugins", "--config", config, "--json").document["plugins"]
    (quiet,) = [one for one in shown if one["plugin"] == "quiet"]
    assert "no such device" in quiet["problem"]


def test_a_command_does_not_begin_if_its_async_plugin_did_not_start(hauberk, config, third_party):
    third_party(ASYNC.replace("self.loop = asyncio", "raise OSError('no such device'); asyncio"))
    ran = hauberk("page", "--config", config, "--json")
    assert (ran.status, ran.document["error"]) == (2, "StartFailed")
    assert "no such device" in ran.document["message"]
