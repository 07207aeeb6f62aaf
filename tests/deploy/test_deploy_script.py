"""./deploy.sh against a flyctl that only writes down what it is told, and fails where a test wants it to."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.aws import TABLE, Aws, account

ROOT = Path(__file__).parents[2]
KEY, SECRET = "sk-ant-test-0123456789", "a-secret-of-thirty-two-characters-or-more"
APPS = '[{"Name": "my-gateway", "Status": "deployed"}]'


def release(version: int, status: str, image: str) -> dict[str, object]:
    """As flyctl writes one: what it holds stands before the image."""
    return {"ID": f"r{version}", "Version": version, "Stable": True, "InProgress": False, "Reason": "", "Description": "Release",
            "Status": status, "DeploymentStrategy": "", "Metadata": {"post_deployment_info": {"flyctl_version": "0.3", "error": ""}},
            "User": {"ID": "u", "Name": "Ada", "Email": "ada@example.com", "EnablePaidHobby": False}, "EvaluationID": "",
            "CreatedAt": "2026-01-01T00:00:00Z", "ImageRef": f"registry.fly.io/my-gateway:{image}"}  # fmt: skip


RELEASES = json.dumps([release(5, "failed", "five"), release(4, "complete", "four"), release(3, "complete", "four"),
                       release(2, "complete", "two"), release(1, "complete", "one")], indent=4)  # fmt: skip

FAKE = """#!{python}
import json, os, sys
told = sys.argv[1:]
line = " ".join(told)
given = sys.stdin.read() if "import" in told else ""
config = told[told.index("--config") + 1] if "--config" in told else ""
with open({log!r}, "a") as log:
    log.write(json.dumps({{"told": told, "stdin": given, "config": open(config).read() if config else ""}}) + "\\n")
world = json.load(open({world!r}))
print(next((answer for start, answer in world["answers"].items() if line.startswith(start)), "[]"))
sys.exit(any(line.startswith(each) for each in world["fails"]))
"""


@dataclass
class Fly:
    """What the fake was told, in order; `fails` names the commands that fail, `answers` what they print."""

    folder: Path
    fails: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    healthy: bool = True

    def deploy(self, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        (self.folder / "world.json").write_text(json.dumps({"fails": self.fails, "answers": self.answers}))
        self.program("curl", f"#!/bin/sh\nexit {0 if self.healthy else 7}\n")
        base = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "HOME": str(self.folder)}
        return subprocess.run(
            [self.folder / "deploy.sh", *words],
            env={**base, **env},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )

    def program(self, name: str, text: str) -> None:
        program = self.folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)

    @property
    def calls(self) -> list[Any]:
        log = self.folder / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def told(self) -> list[str]:
        return [" ".join(call["told"]) for call in self.calls]

    @property
    def changes(self) -> list[str]:
        changing = ("apps create", "volumes create", "secrets import", "deploy")
        return [line for line in self.told if line.startswith(changing)]

    def only(self, start: str) -> Any:
        [found] = [call for call in self.calls if " ".join(call["told"]).startswith(start)]
        return found


@pytest.fixture
def fly(tmp_path: Path) -> Fly:
    for name in ("deploy.sh", "fly.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for folder in ("examples/fly", "infra/dynamodb"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/gateway").symlink_to(Path(sys.executable).with_name("gateway"))
    fake = Fly(tmp_path)
    world = str(tmp_path / "world.json")
    fake.program("flyctl", FAKE.format(python=sys.executable, log=str(tmp_path / "log"), world=world))
    fake.program("aws", FAKE.format(python=sys.executable, log=str(tmp_path / "aws"), world=world))
    fake.program("sleep", "#!/bin/sh\n")
    return fake


def configured(fly: Fly, *changes: tuple[str, str]) -> None:
    text = (fly.folder / "examples/fly/gateway.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (fly.folder / "gateway.yaml").write_text(text)


def test_the_fifth_seeds_form_works_and_warns(fly: Fly) -> None:
    done = fly.deploy("my-gateway", KEY, SECRET)
    assert done.returncode == 0, done.stderr
    assert "stay in your shell's history" in done.stderr
    assert [line.split(" --")[0] for line in fly.changes] == [
        "apps create my-gateway", "volumes create gateway_data", "secrets import", "deploy"]  # fmt: skip
    assert 'secret: "${MCP_JWT_SECRET}"' in (fly.folder / "gateway.yaml").read_text()
    assert "export ANTHROPIC_BASE_URL=https://my-gateway.fly.dev" in done.stdout
    assert "claude mcp add --transport http tools https://my-gateway.fly.dev/mcp" in done.stdout


def test_secrets_are_on_standard_input_and_on_no_command_line(fly: Fly) -> None:
    done = fly.deploy("my-gateway", KEY, SECRET)
    given = dict(line.split("=", 1) for line in fly.only("secrets import")["stdin"].splitlines())
    assert (given["ANTHROPIC_API_KEY"], given["MCP_JWT_SECRET"]) == (KEY, SECRET)
    assert len(given["GATEWAY_SEAL_KEY"]) >= 32
    for text in (*fly.told, done.stdout, done.stderr):
        assert not any(value in text for value in given.values())


def test_secrets_come_from_the_environment_without_a_warning(fly: Fly) -> None:
    done = fly.deploy(FLY_APP="my-gateway", ANTHROPIC_API_KEY=KEY, MCP_JWT_SECRET=SECRET)
    assert (done.returncode, "history" in done.stderr) == (0, False)
    assert f"ANTHROPIC_API_KEY={KEY}" in fly.only("secrets import")["stdin"]


def test_without_a_secret_for_tokens_a_key_pair_signs_them(fly: Fly) -> None:
    done = fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert b"PUBLIC KEY" in (fly.folder / "jwt-public.pem").read_bytes()
    assert (fly.folder / "jwt-private.pem").stat().st_mode & 0o077 == 0
    assert "MCP_JWT_SECRET" not in fly.only("secrets import")["stdin"]


def test_a_second_time_makes_nothing_twice(fly: Fly) -> None:
    fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY)
    before = {file: file.read_bytes() for file in fly.folder.glob("*.[yp]*")}
    (fly.folder / "log").unlink()
    fly.answers = {"apps list": APPS, "volumes list": '[{"name": "gateway_data"}]',
                   "secrets list": '[{"Name": "ANTHROPIC_API_KEY"}, {"Name": "GATEWAY_SEAL_KEY"}]'}  # fmt: skip
    done = fly.deploy("my-gateway")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in fly.changes] == ["deploy"]
    assert {file: file.read_bytes() for file in before} == before


def test_a_dry_run_changes_nothing_and_shows_no_secret(fly: Fly) -> None:
    before = sorted(fly.folder.rglob("*"))
    done = fly.deploy("my-gateway", "--dry-run", ANTHROPIC_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert fly.changes == []
    assert {"would set: ANTHROPIC_API_KEY=…", "would set: GATEWAY_SEAL_KEY=…"} <= set(
        done.stdout.splitlines()
    )
    assert "would run:" in done.stdout
    assert KEY not in done.stdout
    left = {fly.folder / "world.json", fly.folder / "log", fly.folder / "bin/curl"}
    assert set(fly.folder.rglob("*")) - set(before) <= left


def test_sqlite_is_mounted_on_one_machine(fly: Fly) -> None:
    fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY)
    call = fly.only("deploy")
    assert "--ha=false" in call["told"]
    assert call["config"].startswith((ROOT / "fly.toml").read_text())
    assert call["config"].endswith('[[mounts]]\nsource = "gateway_data"\ndestination = "/data"\n')
    assert not (fly.folder / ".fly.volume.toml").exists()


def test_dynamodb_needs_a_role_and_no_volume(fly: Fly) -> None:
    configured(fly, ('"sqlite:////data/gateway.db"', "dynamodb://gateway?region=eu-west-1"))
    without = fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY)
    assert "AWS_ROLE_ARN is not set" in without.stderr
    assert not (fly.folder / "aws").exists()
    assert "docs/deploy-fly.md" in without.stderr
    (fly.folder / "log").unlink()
    role = "arn:aws:iam::123456789012:role/gateway"
    done = fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY, AWS_ROLE_ARN=role)
    assert done.returncode == 0, done.stderr
    assert f"AWS_ROLE_ARN={role}" in fly.only("secrets import")["stdin"]
    call = fly.only("deploy")
    assert "--ha=false" not in call["told"]
    assert "[[mounts]]" not in call["config"]
    assert not any("volumes" in line for line in fly.told)


def by_dynamodb(fly: Fly, aws: Aws, **env: str) -> "subprocess.CompletedProcess[str]":
    """Nobody names a role; whoever deploys may make one."""
    configured(fly, ('"sqlite:////data/gateway.db"', "dynamodb://limits-and-keys?region=eu-west-1"))
    aws.tables = {"limits-and-keys": TABLE}
    fly.answers |= {"sts get-caller-identity": "123456789012"}
    return fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY, **aws.env, **env)


def asked_of_aws(fly: Fly) -> dict[str, list[str]]:
    calls = [json.loads(line)["told"] for line in (fly.folder / "aws").read_text().splitlines()]
    return {" ".join(told[:2]): told for told in calls}


def test_the_machines_get_a_role_that_trusts_them_alone(fly: Fly) -> None:
    fly.fails = ["iam get-"]  # neither the provider nor the role is there
    with account(Aws()) as aws:
        done = by_dynamodb(fly, aws, FLY_ORG="acme")
    assert done.returncode == 0, done.stderr
    told = asked_of_aws(fly)
    assert "https://oidc.fly.io/acme" in told["iam create-open-id-connect-provider"]
    [statement] = json.loads(told["iam create-role"][-1])["Statement"]
    assert statement["Principal"] == {"Federated": "arn:aws:iam::123456789012:oidc-provider/oidc.fly.io/acme"}
    assert statement["Condition"]["StringLike"] == {"oidc.fly.io/acme:sub": "acme:my-gateway:*"}
    [rights] = json.loads(told["iam put-role-policy"][-1])["Statement"]
    assert rights["Resource"] == "arn:aws:dynamodb:*:123456789012:table/limits-and-keys"
    assert "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/fly-my-gateway" in fly.only("secrets import")["stdin"]
    assert "apps create my-gateway --org acme" in fly.told


def test_a_role_that_is_there_is_not_made_again(fly: Fly) -> None:
    with account(Aws()) as aws:
        assert by_dynamodb(fly, aws).returncode == 0
    assert not {"iam create-role", "iam create-open-id-connect-provider"} & set(asked_of_aws(fly))


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        (["sts"], "AWS does not know you; nothing was created"),
        (["iam get-open", "iam create-open"], "AWS cannot be told to trust Fly; nothing was created"),
        (
            ["iam get-role", "iam create-role"],
            "the role fly-my-gateway cannot be created; nothing was deployed",
        ),
        (["iam put-role-policy"], "the role fly-my-gateway cannot be given its rights; nothing was deployed"),
    ],
)
def test_a_role_that_cannot_be_made_ends_it_before_the_app_is(fly: Fly, fails: list[str], says: str) -> None:
    fly.fails = fails
    with account(Aws()) as aws:
        done = by_dynamodb(fly, aws)
    assert (done.returncode, fly.changes) == (1, [])
    assert says in done.stderr


def test_a_table_or_a_right_that_is_missing_creates_nothing(fly: Fly) -> None:
    configured(fly, ('"sqlite:////data/gateway.db"', "dynamodb://gateway?region=eu-west-1"))
    role = "arn:aws:iam::123456789012:role/gateway"
    with account(Aws(roles={role})) as aws:
        done = fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY, AWS_ROLE_ARN=role, **aws.env)
        assert done.returncode == 1
        assert "there is no table gateway: gateway store init makes it" in done.stdout
        aws.tables, aws.denied = {"gateway": TABLE}, {"dynamodb:UpdateItem"}
        done = fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY, AWS_ROLE_ARN=role, **aws.env)
        assert f"{role} may not dynamodb:UpdateItem" in done.stdout
        assert "gateway.yaml cannot be used; nothing was created" in done.stderr
        assert fly.changes == []
        aws.denied = set()
        assert fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY, AWS_ROLE_ARN=role, **aws.env).returncode == 0


def test_a_program_as_server_gets_the_image_with_node(fly: Fly) -> None:
    fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY)
    assert "--build-target plain" in fly.changes[-1]
    (fly.folder / "log").unlink()
    configured(fly, ('tools: {url: "${MCP_SERVER_URL:-https://mcp.example.com/mcp}"}', "files: {command: [npx, -y, server]}"))  # fmt: skip
    fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY)
    assert "--build-target with-node" in fly.changes[-1]


@pytest.mark.parametrize(
    ("command", "says", "done_before"),
    [
        ("auth whoami", "you are not signed in: run 'fly auth login'", []),
        ("apps list", "your apps cannot be listed; nothing was created", []),
        ("apps create", "is the name taken?", ["apps"]),
        ("volumes create", "the volume cannot be created", ["apps", "volumes"]),
        ("secrets import", "the secrets cannot be set; nothing was deployed", ["apps", "volumes", "secrets"]),
        ("deploy", "the release before it goes on", ["apps", "volumes", "secrets", "deploy"]),
    ],
)
def test_a_step_that_fails_is_named_and_ends_it(
    fly: Fly, command: str, says: str, done_before: list[str]
) -> None:
    fly.fails = [command]
    done = fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY)
    assert done.returncode == 1
    assert says in done.stderr
    assert [line.split()[0] for line in fly.changes] == done_before
    assert not (fly.folder / ".fly.volume.toml").exists()


def test_an_app_that_does_not_come_up_is_said_to_be_down(fly: Fly) -> None:
    fly.healthy = False
    done = fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY)
    assert done.returncode == 1
    assert "'./deploy.sh my-gateway --rollback' goes back" in done.stderr
    assert "is live" not in done.stdout


def test_rollback_deploys_the_image_of_the_last_whole_release_but_one(fly: Fly) -> None:
    fly.answers = {"releases": RELEASES}
    done = fly.deploy("my-gateway", "--rollback")
    assert done.returncode == 0, done.stderr
    [line] = fly.changes
    assert "--image registry.fly.io/my-gateway:two" in line


def test_there_may_be_nothing_to_go_back_to(fly: Fly) -> None:
    done = fly.deploy("my-gateway", "--rollback")
    assert (done.returncode, fly.changes) == (1, [])
    assert "my-gateway has no release before this one" in done.stderr


@pytest.mark.parametrize(
    ("words", "env", "code", "says"),
    [
        (["My Gateway"], {}, 1, "is no name for an app"),
        (["-x"], {}, 2, "-x is no option"),
        (["a-b", "c", "d", "e"], {}, 2, "three arguments at most"),
        (["my-gateway", KEY, "short"], {}, 1, "has 5 characters; HS256 needs 32"),
        (["my-gateway"], {}, 1, "names ANTHROPIC_API_KEY, and nobody has set it"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    fly: Fly, words: list[str], env: dict[str, str], code: int, says: str
) -> None:
    done = fly.deploy(*words, **env)
    assert done.returncode == code
    assert says in done.stderr
    assert fly.changes == []


def test_secrets_that_cannot_be_listed_change_nothing(fly: Fly) -> None:
    fly.answers, fly.fails = {"apps list": APPS}, ["secrets list"]
    done = fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY)
    assert (done.returncode, fly.changes) == (1, [])
    assert "the secrets of my-gateway cannot be listed" in done.stderr


def test_a_configuration_that_cannot_be_used_creates_nothing(fly: Fly) -> None:
    configured(fly, ("ratelimit:", "ratelimits:"))
    done = fly.deploy("my-gateway", ANTHROPIC_API_KEY=KEY)
    assert (done.returncode, fly.changes) == (1, [])
    assert "did you mean" in done.stderr
    assert "nothing was created" in done.stderr


def test_without_flyctl_it_says_where_to_get_it(fly: Fly) -> None:
    (fly.folder / "bin/flyctl").unlink()
    done = fly.deploy("my-gateway")
    assert done.returncode == 1
    assert "flyctl is missing" in done.stderr


def test_help_is_the_beginning_of_the_file(fly: Fly) -> None:
    done = fly.deploy("--help")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "Deploy the gateway to Fly.io: ./deploy.sh [app] [provider-key] [jwt-secret]"
    )
