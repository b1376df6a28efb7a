"""The guard against a hang, and the front door of the package, each in a process of its own."""

import ast
import os
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

import lifelong
from lifelong import _runtime as runtime
from lifelong._runtime import COUNT, DEVICES, FAULTY, FLAG, cores

INHERITED = {name: value for name, value in os.environ.items() if not name.startswith(("XLA_", "JAX_"))}


def run(code, *options, timeout=300, **environment):
    """Run Python code in a process without any setting of JAX or XLA but the ones given; return what it printed."""
    here = str(Path(lifelong.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        env={**INHERITED, "PYTHONPATH": here, "JAX_PLATFORMS": "cpu", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


STATE = (
    "from lifelong._runtime import guard_state; import os; print(guard_state(), '|', os.environ.get('XLA_FLAGS', ''))"
)
BOTH = f"--{FLAG}=false --{DEVICES}={cores()}"
COMPUTE = "import jax; assert jax.jit(lambda x: x + 1)(1) == 2;"

RECURRENT = """
import lifelong
import jax, jax.numpy as jnp

WIDTH, GATES, LIVES = 32, 12, 9

def last_state(key):
    orthogonal = jax.nn.initializers.orthogonal()
    gates = jnp.stack([orthogonal(k, (WIDTH, WIDTH)) for k in jax.random.split(key, GATES)])

    def step(h, _):
        update, reset, candidate = (gates @ h).reshape(3, -1, WIDTH).mean(1)
        update = jax.nn.sigmoid(update)
        return update * h + (1 - update) * jnp.tanh(candidate * jax.nn.sigmoid(reset)), None

    return jax.lax.scan(step, jnp.ones(WIDTH), None, length=8)[0]

keys = jax.random.split(jax.random.key(0), LIVES)
print(jax.jit(jax.vmap(last_state))(keys).shape)
"""


def test_recurrent_nets_side_by_side_run_to_their_end():
    """Without the guard this program waits for ever: measured with jaxlib 0.10.2 on two cores.

    What is needed is not the recurrence but several orthogonal matrices (QR decompositions by LAPACK) in one vmapped
    program: 6 of width 64 were enough, 3 were not.
    """
    assert run(RECURRENT) == "(9, 32)"


def test_the_flag_is_added_to_those_of_the_user_and_jax_takes_it():
    assert run(f"import lifelong; {COMPUTE} {STATE}") == f"set by lifelong | {BOTH}"
    others = run(f"import lifelong; {COMPUTE} {STATE}", XLA_FLAGS="--xla_backend_optimization_level=1")
    assert others == f"set by lifelong | --xla_backend_optimization_level=1 {BOTH}"


def test_it_is_early_enough_if_jax_is_imported_but_has_not_begun():
    assert run(f"import jax; import jax.numpy; import lifelong; {COMPUTE} {STATE}", "-W", "error").startswith("set by")


@pytest.mark.parametrize(
    ("flags", "value"), [("={}", "true"), ("={}", "false"), ("", "true"), (f"=true --{FLAG}={{}}", "false")]
)
def test_the_choice_of_the_user_is_respected(flags, value):
    given = f"--{FLAG}{flags.format(value)}"
    said = run(f"import lifelong; {COMPUTE} {STATE}", "-W", "error", XLA_FLAGS=given)
    assert said == f"left as you set it ({FLAG}={value}) | {given} --{DEVICES}={cores()}"


def test_flags_in_a_file_are_read_and_never_broken(tmp_path):
    """XLA takes flags that do not begin with '--' for the name of a file, and ends the process if there is none."""
    path = tmp_path / "flags.txt"
    path.write_text("--xla_backend_optimization_level=1")
    warned = run(f"{CATCH}\n{COMPUTE} {STATE}", XLA_FLAGS=str(path))
    assert f"put --{FLAG}=false into it" in warned and warned.endswith(f"| {path}")
    path.write_text(f"--xla_backend_optimization_level=1\n--{FLAG}=false")
    said = run(f"import lifelong; {COMPUTE} {STATE}", "-W", "error", XLA_FLAGS=str(path))
    assert said == f"left as you set it ({FLAG}=false) | {path}"


CATCH = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import lifelong
print(*[f"{w.category.__name__} at line {w.lineno}: {w.message}" for w in caught])
"""


def test_a_warning_says_what_to_do_where_jax_was_already_running():
    said = run(f"{COMPUTE}\n{CATCH}\n{STATE}")
    assert said.startswith("RuntimeWarning at line 6: JAX was already running")
    assert "import lifelong first" in said and f"XLA_FLAGS=--{FLAG}=false" in said
    assert said.endswith("too late: JAX was already running |")


def test_nothing_is_said_where_jax_was_running_with_the_flag():
    assert run(f"{COMPUTE} import lifelong; {STATE}", "-W", "error", XLA_FLAGS=f"--{FLAG}=false").startswith("left as")


SPREAD = "import jax, lifelong; from lifelong._runtime import devices_state; print(jax.device_count(), devices_state())"


def test_every_core_is_a_device_unless_the_user_has_decided():
    assert run(SPREAD) == f"{cores()} set by lifelong"
    assert run(SPREAD, XLA_FLAGS=f"--{DEVICES}=3") == "3 left as you set it (3)"
    assert run(SPREAD, **{COUNT: "3"}) == "3 left as you set it (3)"
    assert run(f"import lifelong, jax; jax.config.update({COUNT.lower()!r}, 3); {SPREAD}") == "3 set by lifelong"
    assert run(f"{COMPUTE} {SPREAD}", XLA_FLAGS=f"--{FLAG}=false").startswith("1 not set: JAX was already running")


@pytest.mark.parametrize("installed", ["0.9.1", "0.11.0", "none"])
def test_a_jaxlib_that_may_not_know_the_flag_is_not_given_it(monkeypatch, installed):
    """XLA ends the process at a flag it does not know."""
    monkeypatch.setattr(runtime, "_jaxlib", lambda: installed)
    monkeypatch.setenv("XLA_FLAGS", "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert runtime.guard().startswith(f"not set: the hang is known of jaxlib {FAULTY}*, and {installed}")
    assert os.environ["XLA_FLAGS"] == ""


def test_the_installed_jaxlib_is_found():
    import jaxlib

    assert runtime._jaxlib() == jaxlib.__version__


def test_importing_the_package_and_its_errors_loads_nothing_but_the_standard_library():
    """Not JAX, not NumPy: that alone is what makes the import quick (20 ms of CPU time measured)."""
    modules = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = {*run(f"import lifelong, lifelong.errors; {modules}").split()} - {*run(modules).split()}
    assert loaded - sys.stdlib_module_names == {"lifelong"}


def test_importing_every_package_starts_no_backend():
    """Else JAX could not be told any more of several hosts (`jax.distributed.initialize`), or of flags."""
    code = "import lifelong.studies, lifelong.lab, lifelong.connect; from jax._src import xla_bridge; "
    assert run(f"{code} print(xla_bridge.backends_are_initialized())") == "False"


def test_every_public_name_is_there_and_the_same_for_type_checkers():
    tree = ast.parse(Path(lifelong.__file__).read_text())
    typed = next(node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    reexported = {
        (node.module, name.name) for node in typed.body if isinstance(node, ast.ImportFrom) for name in node.names
    }
    lazy = {(home, name) for home, names in lifelong._HOMES.items() for name in names}
    assert reexported == lazy
    for home, name in lazy:
        assert getattr(lifelong, name) is getattr(import_module(f"lifelong.{home}"), name)
        assert name in dir(lifelong)


def test_packages_are_there_without_being_imported():
    code = (
        "import lifelong; print(lifelong.memory.Replay.__name__, lifelong.worlds.Split.__name__, lifelong.__version__)"
    )
    assert run(code).split()[:2] == ["Replay", "Split"]


def test_a_misspelt_name_is_told_with_the_nearest():
    with pytest.raises(AttributeError, match="no attribute 'Reply'; did you mean 'Replay'"):
        _ = lifelong.Reply
    with pytest.raises(ImportError, match="GradientLerner"):
        from lifelong import GradientLerner  # noqa: F401
    assert not hasattr(lifelong, "__wrapped__")


@pytest.mark.parametrize(
    ("package", "name", "nearest"),
    [("worlds", "Mazze", "Maze"), ("lab", "runn", "run"), ("connect", "improved", "improve")],
)
def test_packages_loaded_by_need_tell_their_names_too(package, name, nearest):
    module = getattr(lifelong, package)
    with pytest.raises(AttributeError, match=f"module 'lifelong.{package}' has no .* did you mean '{nearest}'"):
        getattr(module, name)
    assert {nearest, "__doc__"} <= set(dir(module))
