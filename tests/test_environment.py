"""The lock, environment.yml, the workflows and the changelog agree with pyproject.toml."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from sdkit import __version__
from sdkit.files import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WANTED = {
    canonicalize_name(r.name): r
    for r in map(
        Requirement,
        PROJECT["dependencies"]
        + PROJECT["optional-dependencies"]["test"]
        + PROJECT["optional-dependencies"]["site"],
    )
}
CONDA_NAMES = {"pytorch-cpu": "torch"}  # what conda calls differently


def pins(name):
    """The requirements of a lock, as {canonical name: Requirement}.

    Each is pinned to one version.
    """
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"==[^,*]+", str(r.specifier)) for r in requirements)
    names = [canonicalize_name(r.name) for r in requirements]
    assert len(names) == len(set(names))
    return dict(zip(names, requirements))


def version_of(requirement):
    return Version(str(requirement.specifier).removeprefix("=="))


def conda():
    """environment.yml's list, conda's and pip's together, as {canonical name: specifiers}."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    lines = [line for line in listed if isinstance(line, str)]
    lines += [
        line for part in listed if isinstance(part, dict) for line in part["pip"] if line != "-e ."
    ]
    requirements = [Requirement(line) for line in lines]
    return {canonicalize_name(CONDA_NAMES.get(r.name, r.name)): r.specifier for r in requirements}


@pytest.mark.parametrize("name", sorted(WANTED))
def test_the_lock_pins_every_dependency_to_an_allowed_version(name):
    pin = pins("requirements.lock")[name]
    assert pin.marker is None
    assert version_of(pin) in WANTED[name].specifier


@pytest.mark.parametrize("name", sorted(WANTED))
def test_environment_yml_allows_the_same_versions(name):
    assert conda()[name] == WANTED[name].specifier


def test_environment_yml_lists_no_other_package():
    listed = conda()
    assert listed.pop("python") == SpecifierSet(PROJECT["requires-python"])
    listed.pop("pip")
    assert set(listed) == set(WANTED)


def test_the_lock_lists_every_package_that_this_machine_needs():
    """Every package that a locked one needs here is locked too, in a version that suits it."""
    from importlib.metadata import PackageNotFoundError, requires

    locked, cuda = pins("requirements.lock"), pins("requirements-cuda.lock")
    for name, pin in locked.items():
        try:
            needed = [Requirement(line) for line in requires(name) or []]
        except PackageNotFoundError:
            assert pin.marker is not None and not pin.marker.evaluate(), (
                f"{name} is locked but not installed"
            )
            continue
        for need in needed:
            other = canonicalize_name(need.name)
            if other in cuda or (need.marker and not need.marker.evaluate({"extra": ""})):
                continue
            assert other in locked, f"{name} needs {other}"
            assert version_of(locked[other]) in need.specifier, f"{name} needs {need}"


@pytest.mark.parametrize(
    "system, name", [("win32", "colorama"), ("win32", "pywinpty"), ("darwin", "appnope")]
)
def test_a_package_that_only_one_system_needs_is_locked_only_for_it(system, name):
    marker = pins("requirements.lock")[name].marker
    assert [s for s in ("linux", "darwin", "win32") if marker.evaluate({"sys_platform": s})] == [
        system
    ]


def test_packages_of_the_cuda_build_are_only_constraints():
    cuda = pins("requirements-cuda.lock")
    assert not set(cuda) & set(pins("requirements.lock"))
    assert "nvidia-cublas" in cuda


@pytest.mark.parametrize(
    "minor, suits", [(10, False), (11, True), (12, True), (13, True), (14, False)]
)
def test_the_project_allows_python_3_11_to_3_13(minor, suits):
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"3.{minor}.9") is suits


def test_the_version_stands_in_one_place_and_the_changelog_begins_with_it():
    assert PROJECT["dynamic"] == ["version"] and "version" not in PROJECT
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d[^\]]*)\]", changelog, re.M)
    assert versions[0] == __version__
    assert versions == sorted(versions, key=Version, reverse=True)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert "version" not in citation


def workflow(name):
    """One workflow of .github, and its only job."""
    parsed = yaml.safe_load((ROOT / ".github/workflows" / name).read_text(encoding="utf-8"))
    (job,) = parsed["jobs"].values()
    return parsed, job


def commands(job):
    return [step["run"] for step in job["steps"] if "run" in step]


def test_the_workflow_runs_every_test_on_every_system_and_python():
    _, job = workflow("tests.yml")
    matrix = job["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    supported = SpecifierSet(PROJECT["requires-python"])
    assert matrix["python"] == [f"3.{k}" for k in range(30) if supported.contains(f"3.{k}")]
    (command,) = commands(job)
    assert command.startswith("python run.py test") and "-m" not in command.split()


def test_the_site_is_published_from_main_only_and_with_no_more_rights_than_that_needs():
    parsed = yaml.safe_load((ROOT / ".github/workflows/site.yml").read_text(encoding="utf-8"))
    assert parsed[True]["push"]["branches"] == ["main"] and "pull_request" not in parsed[True]
    assert parsed["permissions"] == {"contents": "read", "pages": "write", "id-token": "write"}
    jobs = parsed["jobs"]
    building = commands(jobs["build"])
    # the page is tested before it joins the site
    assert building[2:4] == [
        "python run.py web build",
        "python run.py test tests/web tests/browser/test_web_page.py",
    ]
    assert building[4].startswith("python run.py site --out site --page web/dist --repository ")
    assert len(building) == 5
    (upload,) = [s for s in jobs["build"]["steps"] if "upload-pages" in s.get("uses", "")]
    assert upload["with"]["path"] == "site"
    assert jobs["publish"]["needs"] == "build"
    assert any("deploy-pages" in step["uses"] for step in jobs["publish"]["steps"])


def test_the_slow_tests_run_every_night():
    parsed, job = workflow("nightly.yml")
    triggers = parsed[True]  # YAML 1.1 reads the word "on" as true
    assert triggers["schedule"][0]["cron"].endswith(" * * *")
    nbgrader, command = commands(job)
    assert command.startswith("python run.py test -m slow")
    # without it the tests of the marks would be skipped
    pages = (ROOT / "docs" / "class-server.md").read_text(encoding="utf-8")
    assert nbgrader.rpartition(" ")[2].replace("==", " ") in pages
    named = job["steps"][-1]["env"]["SDKIT_NBGRADER"]
    assert named == "${{ runner.temp }}/nbgrader/bin/nbgrader"


def test_the_workflow_for_style_runs_the_hooks():
    _, job = workflow("lint.yml")
    assert commands(job)[-1].startswith("pre-commit run --all-files")
