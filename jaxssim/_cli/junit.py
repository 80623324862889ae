"""Writes the results as JUnit's XML, which systems for continuous integration show: a test case for each pair."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from jaxssim._cli.limits import Limit
from jaxssim._cli.pairing import Pairing
from jaxssim._cli.results import PairResult
from jaxssim._pictures import show_name


def write_junit(results: Sequence[PairResult], limits: Sequence[Limit], pairing: Pairing, path: Path) -> None:
    """Writes a failure for each pair that breaks limits, an error for each pair, file or folder that was not scored."""
    suite = ElementTree.Element("testsuite", name="jaxssim compare")
    failures, errors = 0, 0
    for result in results:
        values = " ".join(f"{name}={value:.6g}" for name, value in result.values.items())
        case = ElementTree.SubElement(suite, "testcase", classname="jaxssim.compare", name=result.name)
        broken = [text for limit in limits if (text := limit.broken_by(result))]
        if result.error:
            ElementTree.SubElement(case, "error", message="; ".join([*broken, result.error])).text = values
            errors += 1
        elif broken:
            ElementTree.SubElement(case, "failure", message="; ".join(broken)).text = values
            failures += 1
        else:
            ElementTree.SubElement(case, "system-out").text = values
    left_out = dict.fromkeys(pairing.alone, "it has no partner") | {each.path: each.reason for each in pairing.closed}
    for file, reason in left_out.items():
        case = ElementTree.SubElement(suite, "testcase", classname="jaxssim.compare", name=show_name(file, "utf-8"))
        ElementTree.SubElement(case, "error", message=reason)
    counts = {"tests": len(results) + len(left_out), "failures": failures, "errors": errors + len(left_out)}
    for key, count in counts.items():
        suite.set(key, str(count))
    ElementTree.indent(suite)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
