"""One scatter for the map and the quadrants: WebGL2 points, bytes in, a bitset of selected points out, up to a million.

payload = scatter_payload(x, y, Categories(codes, names, title="Cluster"), labels=texts, identity=dataset.digest)  # keep it
event = scatter(payload, "coverage.map", selection=mask, names=centroid_names(x, y, codes, names))
if event.selected is not None:
    session.select(ids[event.selected])  # the page's own order of records, the payload's row order
"""

from pages.ui.scatter.component import Axes, ScatterEvent, read_event, scatter
from pages.ui.scatter.facets import Facet, category_facet, number_facet
from pages.ui.scatter.fallback import plotly_scatter
from pages.ui.scatter.payload import Categories, Name, ScatterPayload, Values, centroid_names, scatter_payload

__all__ = [
    "Axes", "Categories", "Facet", "Name", "ScatterEvent", "ScatterPayload", "Values", "category_facet",
    "centroid_names", "number_facet", "plotly_scatter", "read_event", "scatter", "scatter_payload",
]  # fmt: skip
