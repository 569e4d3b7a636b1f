"""What a figure shows, as a table: every mark that matplotlib drew, in the units of its axes.

As an extension of IPython (`%load_ext study.drawn`) it adds that table, as CSV, to the metadata of every figure that a
notebook shows, under `ROWS`; the book puts it below the figure.
"""

ROWS = "rows"
COLUMNS = ["panel", "mark", "item", "series", "x", "y", "x_name", "y_name", "value"]


def table(figure):
    """The marks of a figure, panel by panel: lines, points and shapes, bars, images, texts.

    Returns
    -------
    DataFrame with `COLUMNS`, one row a point: panel (its title, or its number from 1), mark (line, points, bar, shape,
    image, text), item (number of the mark in its panel, from 1; all points of a line have one), series (its name in
    the legend, or the text; "" for none), x and y (NaN where the mark reaches across, as a line at a level does),
    x_name and y_name (what stands at that place of an axis that has names, "" else), value (what a colour stands for,
    NaN for none). A bar has two rows, opposite corners; a shape one for each corner.
    """
    import pandas as pd  # these take a second, which a kernel without figures need not wait for

    rows = []
    for number, ax in enumerate((ax for ax in figure.axes if ax.get_label() != "<colorbar>"), start=1):
        panel, names = ax.get_title().replace("\n", " ") or str(number), [_names(axis) for axis in (ax.xaxis, ax.yaxis)]
        name, artists = _series(ax), [*ax.lines, *ax.collections, *ax.patches, *ax.images, *ax.texts]
        marks = [(name(artist), *mark) for artist in artists if artist.get_visible() for mark in _marks(artist, ax)]
        for item, (series, kind, points, values) in enumerate(marks, start=1):
            for (x, y), value in zip(points, values):
                at = [name.get(float(place), "") for name, place in zip(names, (x, y))]
                rows.append((panel, kind, item, series, x, y, *at, value))
    return pd.DataFrame(rows, columns=COLUMNS)


def csv(figure):
    """`table` as CSV, with six significant digits."""
    return table(figure).to_csv(index=False, float_format="%.6g")


def load_ipython_extension(shell):
    """Let a shell put `csv` of every figure that it shows into the metadata of the output."""
    formatter = shell.display_formatter.mimebundle_formatter
    formatter.for_type_by_name("matplotlib.figure", "Figure", lambda figure, **_: ({}, {ROWS: csv(figure)}))


def _names(axis):
    """What stands at the ticks of an axis that has names for them: dict of float to str, empty for one of numbers."""
    from matplotlib.category import StrCategoryFormatter
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    formatter = axis.get_major_formatter()
    if not isinstance(formatter, FixedFormatter | FuncFormatter | StrCategoryFormatter):
        return {}
    places = axis.get_majorticklocs()
    return dict(zip(map(float, places), formatter.format_ticks(places)))


def _series(ax):
    """A function from an artist to its name: its own, its container's, or that of its colour in the legend."""
    from matplotlib.cbook import flatten
    from matplotlib.text import Text

    legend, named = ax.get_legend(), {}
    if legend is not None:
        named = {_colour(handle): text.get_text() for handle, text in zip(legend.legend_handles, legend.get_texts())}
    of = {id(part): container.get_label() for container in ax.containers for part in flatten(container)}

    def name(artist):
        if isinstance(artist, Text):
            return artist.get_text()
        own = [str(label) for label in (artist.get_label(), of.get(id(artist))) if label]
        return next((label for label in own if not label.startswith("_")), named.get(_colour(artist), ""))

    return name


def _colour(artist):
    """The colour that tells an artist from others: (red, green, blue), or None where it has several or none."""
    from matplotlib.colors import to_rgba_array

    colour = getattr(artist, "get_color", None) or getattr(artist, "get_facecolor", lambda: "none")
    colours = {tuple(rgba[:3]) for rgba in to_rgba_array(colour())}
    return colours.pop() if len(colours) == 1 else None


def _marks(artist, ax):
    """What of an artist is data: list of (mark, points (n, 2), values (n,))."""
    import numpy as np
    from matplotlib import collections, image, lines, patches, text

    def mark(kind, points, values=np.nan, transform=None):
        inside = (transform or artist.get_transform()).contains_branch_seperately(ax.transData)
        points = np.where(inside, _filled(points).reshape(-1, 2), np.nan)
        return kind, points, np.broadcast_to(values, len(points))

    if isinstance(artist, lines.Line2D):
        return [mark("line", artist.get_xydata())]
    if isinstance(artist, collections.PathCollection):
        held = np.nan if artist.get_array() is None else _filled(artist.get_array())
        return [mark("points", artist.get_offsets(), held, artist.get_offset_transform())]
    if isinstance(artist, collections.QuadMesh):
        corners = artist.get_coordinates()
        return [mark("image", (corners[:-1, :-1] + corners[1:, 1:]) / 2, _filled(artist.get_array()).ravel())]
    if isinstance(artist, collections.Collection):
        kind = "line" if isinstance(artist, collections.LineCollection) else "shape"
        return [mark(kind, path.vertices) for path in artist.get_paths() if len(path.vertices)]
    if isinstance(artist, image.AxesImage):
        held, (left, right, bottom, top) = _filled(artist.get_array()), artist.get_extent()
        first, last = (top, bottom) if artist.origin == "upper" else (bottom, top)
        centres = lambda low, high, n: low + (np.arange(n) + 0.5) * (high - low) / n
        x, y = np.meshgrid(centres(left, right, held.shape[1]), centres(first, last, held.shape[0]))
        brightness = held if held.ndim == 2 else held[..., :3].mean(axis=2)
        return [mark("image", np.dstack([x, y]), brightness.ravel())]
    if isinstance(artist, patches.Rectangle):
        return [mark("bar", artist.get_bbox().get_points(), transform=artist.get_data_transform())]
    if isinstance(artist, patches.Patch):
        corners = artist.get_patch_transform().transform(artist.get_path().vertices)
        return [mark("shape", corners, transform=artist.get_data_transform())]
    return [mark("text", artist.get_position())] if isinstance(artist, text.Text) and artist.get_text() else []


def _filled(numbers):
    """An array of floats with NaN where a masked one has nothing."""
    import numpy as np

    return np.ma.filled(np.ma.asarray(numbers, dtype=float), np.nan)
