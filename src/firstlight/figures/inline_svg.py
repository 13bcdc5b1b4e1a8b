"""Figures inside HTML: matplotlib's SVG without what a page does not need, and letters that all figures share."""

import re
from dataclasses import dataclass, field
from xml.etree import ElementTree

from firstlight.figures.panels import PLACE, cut
from firstlight.figures.themes import themed

_NAMESPACE = re.compile(r"\{[^}]*\}")
_NUMBER = re.compile(r"-?\d+\.\d{3,}(?![\d.]*e)")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_LETTER = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*-[0-9a-f]+")  # how matplotlib names a glyph: font, number
_NO_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # matplotlib repeats a text in a comment
_ALONG = re.compile(r"translate\((-?[\d.]+) 0\)")
_DROPPED = {"metadata", "style"}
DECIMALS = 2  # hundredths of a point


@dataclass
class Figures:
    """SVG figures of one page: their letters are kept once, in `letters`, and their identifiers apart.

    Attributes
    ----------
    themed : bool
        Whether they take part in the page's themes and widths: with its variables in place of colours, and each panel
        an SVG of its own where there are several.
    outlines : dict of str to str
        The outline of each letter that a figure uses, by its identifier.
    """

    themed: bool = True
    outlines: dict[str, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    def inline(self, text: str, name: str, label: str) -> str:
        """A figure to stand inside HTML.

        Parameters
        ----------
        text : str
            A whole SVG file, of matplotlib or any other.
        name : str
            Begins every identifier in it; no other figure of the page may have the same.
        label : str
            What the figure shows, for those who cannot see it.

        Returns
        -------
        str
            The same picture: coordinates in hundredths of a point, no prologue, comments or metadata.
            Of several panels, a `div` with an SVG for each.
        """
        root = ElementTree.fromstring(_NO_XML.sub("\ufffd", text))
        for element in root.iter():
            element.tag = _NAMESPACE.sub("", element.tag)
            element.attrib = {_NAMESPACE.sub("", key): value for key, value in element.attrib.items()}
            if not self.themed:
                element.attrib.pop(PLACE, None)
            element.text = (element.text or "").strip() if element.tag in ("text", "tspan") else ""
            element.tail = ""
        _drop(root)
        self._share_letters(root)
        _name_identifiers(root, name, set(self._names.values()))
        for element in root.iter():
            _shorten(element)
        _drop_empty(root)
        root.attrib.pop("version", None)
        root = self._in_page(root) if self.themed else root
        root.attrib["role"] = "img"
        root.attrib["aria-label"] = label
        return _written(root)

    def _in_page(self, root: ElementTree.Element) -> ElementTree.Element:
        for element in root.iter():
            if style := element.get("style"):
                element.set("style", themed(style))
        root.set("fill", "currentColor")  # of letters, which are black where nothing else is said
        return cut(root)

    @property
    def letters(self) -> str:
        """The outlines of all letters, as an SVG that is not seen; it must stand once on the page."""
        if not self.outlines:
            return ""
        return f'<svg class="letters" aria-hidden="true"><defs>{"".join(self.outlines.values())}</defs></svg>'

    def _share_letters(self, root: ElementTree.Element) -> None:
        for parent in list(root.iter("defs")):
            for element in list(parent):
                key = element.get("id", "")
                if element.tag != "path" or not _LETTER.fullmatch(key):
                    continue
                short = self._names.setdefault(key, f"L{len(self._names)}")
                _shorten(element)
                element.set("id", short)
                outline = _written(element)
                if self.outlines.setdefault(short, outline) == outline:
                    parent.remove(element)
                else:  # another font of the same name: this figure keeps its own
                    element.set("id", key)
        own = {element.get("id") for element in root.iter("path")}
        for use in root.iter("use"):
            key = use.get("href", "#")[1:]
            if key in self._names and key not in own:
                use.set("href", f"#{self._names[key]}")


def _drop(root: ElementTree.Element) -> None:
    """Metadata and style sheets, which inside HTML would style the whole page."""
    for parent in list(root.iter()):
        for element in list(parent):
            if element.tag in _DROPPED:
                parent.remove(element)


def _drop_empty(root: ElementTree.Element) -> None:
    """Groups without attributes are replaced by what is in them, empty ones go."""
    for parent in reversed(list(root.iter())):
        children: list[ElementTree.Element] = []
        for element in parent:
            if element.tag in ("g", "defs") and not len(element):
                continue
            children += list(element) if element.tag == "g" and not element.attrib else [element]
        parent[:] = children


def _name_identifiers(root: ElementTree.Element, name: str, shared: set[str]) -> None:
    """Identifiers that nothing refers to go; the others begin with the figure's name."""
    used: set[str] = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "href" and value.startswith("#"):
                used.add(value[1:])
                if value[1:] not in shared:
                    element.set(key, f"#{name}-{value[1:]}")
            elif "url(#" in value:
                used.update(_REFERENCE.findall(value))
                element.set(key, _REFERENCE.sub(rf"url(#{name}-\1)", value))
    for element in root.iter():
        key = element.attrib.pop("id", "")
        if key in used:
            element.set("id", f"{name}-{key}")


def _written(element: ElementTree.Element) -> str:
    return ElementTree.tostring(element, encoding="unicode").replace(" />", "/>")


def _shorten(element: ElementTree.Element) -> None:
    for key, value in list(element.attrib.items()):
        if key in ("d", "points"):
            value = " ".join(_rounded(value).split())
            element.set(key, re.sub(r" ?([A-Za-z]) ?", r"\1", value))
        elif key == "transform":
            value = re.sub(r"(?<!scale)\(([^)]*)\)", lambda found: f"({_rounded(found[1])})", value)
            element.set(key, value)
            if element.tag == "use" and (along := _ALONG.fullmatch(value)):
                del element.attrib[key]
                element.set("x", along[1])
        elif key in ("x", "y", "width", "height", "x1", "x2", "y1", "y2", "cx", "cy", "r"):
            element.set(key, _rounded(value))
        elif key == "style":
            element.set(key, value.replace(": ", ":").replace("; ", ";"))


def _rounded(text: str) -> str:
    def shorter(found: re.Match[str]) -> str:
        rounded = f"{float(found[0]):.{DECIMALS}f}".rstrip("0").rstrip(".")
        return "0" if rounded in ("-0", "") else rounded

    return _NUMBER.sub(shorter, text)
