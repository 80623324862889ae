"""Writes the report of compared pairs of pictures: one HTML file, or a folder with the pictures beside it.

    with ReportWriter(Path("report.html"), metrics, {"jaxssim": jaxssim.__version__}) as report:
        report.add(result, reference, test, ssim_map)

The page needs no server and no network. `page/` holds its template, style and scripts; `writer.py` fills the template,
`pictures.py` prepares the pictures. A browser computes the summary, the histograms and the table from the values.
"""

from jaxssim._report.writer import ReportWriter

__all__ = ["ReportWriter"]
