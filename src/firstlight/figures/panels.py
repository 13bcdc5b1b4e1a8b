"""Where each panel of a figure lies, written into its SVG, so that a narrow page can set them in one column."""

from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

PLACE = "data-panel"  # of a group of an SVG: number of its panel, left, top, width and height
_MARGIN = 2.0  # points around a panel, for what anti-aliasing adds to it


def name_panels(figure: "Figure", renderer: "RendererBase") -> dict[str, str]:
    """Give the panels of a figure that is laid out identifiers.

    A panel is an axis with its colour bar, or a legend or text of the whole figure. Headings, which lie above all
    that are higher, come first.

    Returns
    -------
    dict of str to str
        The value of `PLACE` by identifier; empty where there is only one panel.
    """
    from matplotlib.transforms import Bbox

    panels = _panels(figure)
    if len(panels) < 2:
        return {}
    boxes = [
        Bbox.union([box for artist in panel if (box := artist.get_tightbbox(renderer)) is not None]) for panel in panels
    ]
    to_points = 72 / figure.dpi
    high = figure.bbox.height
    places = {}
    for number, index in enumerate(sorted(range(len(panels)), key=lambda index: not _is_above(boxes[index], boxes))):
        box = boxes[index].padded(_MARGIN / to_points)
        place = [to_points * value for value in (box.x0, high - box.y1, box.width, box.height)]
        for part, artist in enumerate(panels[index]):
            name = f"panel_{number}_{part}"
            artist.set_gid(name)
            places[name] = " ".join([str(number), *(f"{value:.1f}" for value in place)])
    return places


def _is_above(box: "Bbox", boxes: "list[Bbox]") -> bool:
    """Whether a box is above all that are higher than it: a heading."""
    others = [other for other in boxes if other.height > box.height]
    return bool(others) and all(box.y0 >= other.y1 - 1 for other in others)


def _panels(figure: "Figure") -> "list[list[Artist]]":
    """The visible parts of each panel. A colour bar of several axes is a panel of its own: no picture owns it."""
    bars = {}
    for ax in figure.axes:
        for picture in (*ax.images, *ax.collections):
            if picture.colorbar is not None:
                bars[picture.colorbar.ax] = ax
    panels = {ax: [ax, *(bar for bar, owner in bars.items() if owner is ax)] for ax in figure.axes if ax not in bars}
    return [*panels.values(), *([one] for one in (*figure.legends, *figure.texts))]


def with_places(text: str, places: dict[str, str]) -> str:
    """An SVG whose panels `name_panels` has named, with their places."""
    for name, place in places.items():
        text = text.replace(f'<g id="{name}">', f'<g id="{name}" {PLACE}="{place}">', 1)
    return text


def cut(root: ElementTree.Element) -> ElementTree.Element:
    """An SVG as its panels, each an SVG of its own, in a `div` that a style sheet lays out.

    What is in no panel, such as the background, is left out, but for definitions. An SVG without panels stays as it is.
    """
    panels: dict[str, list[ElementTree.Element]] = {}
    for element in root:
        if place := element.attrib.pop(PLACE, ""):
            panels.setdefault(place, []).append(element)
    if not panels:
        return root
    width, height = (float(value) for value in root.attrib["viewBox"].split()[2:])
    whole = ElementTree.Element("div", {"class": "panels", "style": f"--w:{width:g}pt;--ratio:{width:g}/{height:g}"})
    for place in sorted(panels, key=lambda place: int(place.split()[0])):
        left, top, wide, high = (float(value) for value in place.split()[1:])
        shares = {"x": left / width, "y": top / height, "share": wide / width}
        style = ";".join(f"--{name}:{share:.2%}" for name, share in shares.items())
        viewed = {
            **root.attrib,
            "viewBox": f"{left:g} {top:g} {wide:g} {high:g}",
            "width": f"{wide:g}pt",
            "height": f"{high:g}pt",
        }
        ElementTree.SubElement(whole, "svg", viewed, style=style).extend(panels[place])
    whole[0].extend(element for element in root if element.tag == "defs")
    return whole
