"""What is known about each data set: its files with bytes and SHA-256, its licence, and where it comes from."""

from dataclasses import dataclass

GITHUB = "https://github.com"
RAW = "https://raw.githubusercontent.com"
DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class DataFile:
    """One file of a data set, named and measured as it is after gzip or xz are undone.

    `url` is where exactly this content can be downloaded, plain or gzip, and '' where it was made from something else.
    """

    name: str
    bytes: int
    sha256: str
    url: str = ""


@dataclass(frozen=True)
class DataSource:
    """A data set with a name.

    `address` is its public home and `folder` its place in a data folder; `debian` and `system` are the Debian package
    that brings it and where that puts it; `package` is the Python package it is part of, where it has no files of its
    own; `classes` names the labels 0, 1, 2 … of a set of labelled images.
    """

    name: str
    description: str
    licence: str
    address: str
    files: tuple[DataFile, ...] = ()
    folder: str = ""
    debian: str = ""
    system: str = ""
    package: str = ""
    classes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """The size of the content of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def downloadable(self) -> bool:
        """Whether every file can be downloaded as it is."""
        return bool(self.files) and all(file.url for file in self.files)


def _idx_files(address: str, *sha256: str) -> tuple[DataFile, ...]:
    """Return the four files that MNIST and its drop-in replacements have."""
    sizes = {
        "train-images-idx3-ubyte": 47_040_016,
        "train-labels-idx1-ubyte": 60_008,
        "t10k-images-idx3-ubyte": 7_840_016,
        "t10k-labels-idx1-ubyte": 10_008,
    }
    return tuple(
        DataFile(name, size, digest, f"{address}{name}.gz")
        for (name, size), digest in zip(sizes.items(), sha256, strict=True)
    )


_IMAGES = (
    DataSource(
        "digits",
        "handwritten digits, 1,797 images of 8×8 pixels",
        "CC-BY-4.0",
        "https://archive.ics.uci.edu/dataset/80",
        package="scikit-learn",
        classes=DIGITS,
    ),
    DataSource(
        "mnist",
        "handwritten digits, 60,000 + 10,000 images of 28×28 pixels",
        "CC-BY-SA-3.0",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        _idx_files(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        folder="mnist",
        classes=DIGITS,
    ),
    DataSource(
        "fashion-mnist",
        "articles of clothing, 60,000 + 10,000 images of 28×28 pixels",
        "MIT",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        _idx_files(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        folder="fashion-mnist",
        debian="dataset-fashion-mnist",
        system="/usr/share/datasets/fashion-mnist",
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    DataSource(
        "omniglot",
        "handwritten characters, 1,623 × 20 drawings of 28×28 bits, packed",
        "MIT",
        f"{GITHUB}/brendenlake/omniglot",
        (DataFile("omniglot28.npz", 861_019, "cbffff0be5c11cbc307653ad9c94e8ad6b96cf1815e4b88210f586365352942d"),),
        folder="omniglot",
        classes=tuple(map(str, range(964))),
    ),
    DataSource(
        "omniglot-runs",
        "the 20 published runs of one-shot classification on Omniglot, images of 105×105 bits",
        "MIT",
        f"{GITHUB}/brendenlake/omniglot",
        (
            DataFile(
                "all_runs.zip",
                352_787,
                "437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325",
                f"{RAW}/brendenlake/omniglot/master/python/one-shot-classification/all_runs.zip",
            ),
        ),
        folder="omniglot",
    ),
)

_PRACTICE = (
    DataSource(
        "lkt",
        "58,316 practice attempts of 478 students of statistics on 36 skills",
        "GPL-3.0-only",
        "https://cran.r-project.org/package=LKT",
        (
            DataFile(
                "statistics-cloze.csv", 11_757_641, "8067cd4e767bae04eb8eab902f84a706ba51ebc724a684e494134eef438a014f"
            ),
        ),
        folder="lkt",
    ),
)

_STRUCTURES = (
    DataSource(
        "cora",
        "a graph of 2,708 papers that cite each other, in 7 subjects",
        "MIT",
        f"{GITHUB}/kimiyoung/planetoid",
        (DataFile("cora.npz", 105_910, "b16309f52561b6583dd9d440badfab6b3ad66b5ef34ee618cd7f290367807d4f"),),
        folder="graphs",
    ),
    DataSource(
        "citeseer",
        "a graph of 3,327 papers that cite each other, in 6 subjects",
        "MIT",
        f"{GITHUB}/kimiyoung/planetoid",
        (DataFile("citeseer.npz", 192_124, "76d258b9a19be3fac43b982cfb86a58bb23c340e412b2b7b836ddbfa2173afa6"),),
        folder="graphs",
    ),
    DataSource(
        "path-finding-maps",
        "22 grid maps for path finding: random, rooms, mazes, warehouse, games",
        "MIT; the maps of movingai.com ODC-By",
        f"{GITHUB}/Kei18/pibt2",
        (DataFile("mapf_maps.npz", 9_930, "6949bfed84c40b4b3084f5d56bb878f46a62a8239ba8765670846d102ae9a65a"),),
        folder="maps",
    ),
)

_TEXTS = (
    DataSource(
        "gsm8k",
        "grade-school mathematics, 7,473 + 1,319 problems with worked answers",
        "MIT",
        f"{GITHUB}/openai/grade-school-math",
        (DataFile("gsm8k.jsonl", 5_072_881, "75f0d09163b99e8566c7721644a6237ef127d5973c51f584b1da7de85a0c3426"),),
        folder="reasoning",
    ),
    DataSource(
        "pratham-stories",
        "children's stories in English, Hindi, Marathi and Bengali, aligned where translated",
        "CC-BY-4.0",
        f"{GITHUB}/global-asp/pb-source",
        (
            DataFile(
                "pratham_stories_en_hi_mr_bn.jsonl",
                3_123_942,
                "46e67598500a9931cfe02625b177d1d93d4202b24200b126635c171fa1084eb2",
            ),
        ),
        folder="stories",
    ),
    DataSource(
        "story-words",
        "the word lists from which Regional TinyStories draws its prompts",
        "MIT",
        f"{GITHUB}/gwentandgit/Regional-TinyStories",
        (
            DataFile(
                "regional_tinystories_wordlists.json",
                51_868,
                "b8b22655c5e0b24f0f32fa6287df3ea95d234c779adb47966d4ab58302267f4e",
            ),
        ),
        folder="stories",
    ),
    DataSource(
        "tiny-shakespeare",
        "40,000 lines of Shakespeare in one file",
        "public domain",
        f"{GITHUB}/karpathy/char-rnn",
        (
            DataFile(
                "tinyshakespeare.txt",
                1_115_394,
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                f"{RAW}/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            ),
        ),
        folder="text",
    ),
    DataSource(
        "names",
        "32,033 first names, one a line",
        "MIT",
        f"{GITHUB}/karpathy/makemore",
        (
            DataFile(
                "names.txt",
                228_145,
                "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
                f"{RAW}/karpathy/makemore/master/names.txt",
            ),
        ),
        folder="text",
    ),
)

SOURCES = {source.name: source for source in (*_IMAGES, *_PRACTICE, *_STRUCTURES, *_TEXTS)}
