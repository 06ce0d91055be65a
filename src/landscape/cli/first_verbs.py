"""The verbs to begin with: see a network, and write a first configuration for one."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from landscape.errors import InputError

if TYPE_CHECKING:
    from landscape.running.starter import Subject

Network = Annotated[str, Parameter(help="path/file.py:function, package.module:function, or a built-in name")]
WeightsOrNone = Annotated[
    str | None, Parameter(help="a checkpoint, FILE or FILE#ENTRY; without it the network is not trained")
]
DataOrNone = Annotated[
    str | None,
    Parameter(
        help="digits, cifar10, cifar100, an .npz or .safetensors file, a folder of images, or path/file.py:function"
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """Options that `see` and `init` share; those above `results` are keys of a run."""

    loss: Annotated[
        str | None,
        Parameter(
            help="cross_entropy (default), bce, mse, mae, huber, nll, next_token, file.py:function, or JSON with args"
        ),
    ] = None
    objective: Annotated[str | None, Parameter(help="in the place of a loss: file.py:function of (network, batch)")] = (
        None
    )
    output: Annotated[str | None, Parameter(help="the part of the network's output that the loss takes")] = None
    score: Annotated[str | None, Parameter(help="accuracy, r2, perplexity, none, or file.py:function")] = None
    args: Annotated[str | None, Parameter(help="arguments of the network's function, as JSON")] = None
    results: Annotated[str, Parameter(help="the folder of results")] = "results"
    config: Annotated[Path, Parameter(help="the configuration to write")] = Path("landscape.yaml")
    force: Annotated[bool, Parameter(negative=(), help="overwrite the configuration")] = False

    def subject(self, network: str, weights: str | None, data: str | None) -> Subject:
        """Return what the configuration is about.

        Raises:
            InputError: if no data are named, or an option is not what it must be.
        """
        from landscape.running import starter

        weights, data = starter.weights_and_data(weights, data)
        loss, output = self.loss, self.output
        return starter.Subject(
            network=network,
            data=data,
            weights=weights,
            args=None if self.args is None else _mapping("--args", self.args),
            loss=_mapping("--loss", loss) if loss and loss.lstrip().startswith("{") else loss,
            objective=self.objective,
            output=int(output) if output is not None and output.lstrip("-").isdecimal() else output,
            score=self.score,
            results=self.results,
        )

    def command(self, verb: str, network: str, weights: str | None, data: str | None, **further: Any) -> str:
        """Return the comment that the configuration begins with: the command, with the options that alter its content."""
        from landscape.running import starter

        stated = {key: value for key, value in asdict(self).items() if key not in ("config", "force")}
        stated["results"] = None if self.results == Options.results else self.results
        return "# " + starter.command_of(
            verb, {"NETWORK": network, "WEIGHTS": weights, "DATA": data, **stated, **further}
        )


DEFAULT = Options()


def see(
    network: Network,
    weights: WeightsOrNone = None,
    data: DataOrNone = None,
    /,
    *,
    options: Options = DEFAULT,
    examples: Annotated[
        int | None, Parameter(help="of each split, for every point; default what takes two minutes, at most 1000")
    ] = None,
    points: Annotated[int, Parameter(help="on each axis of the plane")] = 25,
) -> int:
    """See the loss landscape of your network.

    Within seconds there is a rough picture of two random directions around the weights. Then a configuration is written,
    `landscape run` makes everything in it (level lines, a surface, lines, eigenvalues), and the numbers are printed. The same
    command, or `landscape run`, goes on where it was stopped. Without weights the initial ones are seen.
    """
    from landscape.cli import first_look
    from landscape.running import launch, starter
    from landscape.store import files

    for name, value in {"examples": examples, "points": points}.items():
        if value is not None and value < (least := 2 if name == "examples" else 3):
            raise InputError(f"--{name} is {value}; it must be at least {least}")
    config = options.config
    stated = {"examples": examples, "points": None if points == 25 else points}
    command = options.command("see", network, weights, data, **stated)
    subject = options.subject(network, weights, data)
    if starter.free(config, command, options.force):
        logging.getLogger("landscape.progress").setLevel(logging.WARNING)  # a rough picture has many short measurements
        subject, extent = first_look.rough(subject, points, examples, config.with_suffix(""), _say)
        files.write_text(config, starter.text(subject, extent, command, config))
        _say(f"the configuration is {config}")
    else:
        _say(f"going on with {config}, which the same command wrote")
    quiet = [] if sys.stderr.isatty() else ["--quiet", "host", "progress", "reason", "rules"]
    code = launch.run(str(config), [*first_look.targets(str(config)), "--keep-going", *quiet])
    _say(first_look.told(str(config)))
    return code


def init(
    network: Network,
    weights: WeightsOrNone = None,
    data: DataOrNone = None,
    /,
    *,
    options: Options = DEFAULT,
) -> None:
    """Write a first configuration for your network.

    With weights the run is adopted, without them it is trained for a few epochs. `landscape run` makes everything in it.
    """
    from landscape.experiment import reading
    from landscape.running import check, starter
    from landscape.store import files

    config = options.config
    command = options.command("init", network, weights, data)
    content = starter.text(options.subject(network, weights, data), starter.Extent(), command, config)
    if not starter.free(config, command, options.force):
        _say(f"{config} is there, written by the same command, and is left as it is")
        return
    if problems := check.problems(reading.resolve(_parsed_yaml(content))):
        raise InputError(problems)
    files.write_text(config, content)
    _say(f"the configuration is {config}; change it, and make everything with: landscape run {config}")


def _mapping(option: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{option} is {text!r}, which is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{option} is {text!r}; it must be a mapping, e.g. " + "'{\"width\": 16}'")
    return found


def _parsed_yaml(content: str) -> Any:
    import yaml

    return yaml.safe_load(content)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
