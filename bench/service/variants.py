"""The service with other allocators, linking, link-time optimization and panics, compared in rounds."""

import gzip
import shutil
import subprocess
from dataclasses import dataclass

import figures
import load
from workshop import FLAGS, ROOT


@dataclass
class Variant:
    """How a build differs from the image's."""

    flags: str = FLAGS
    options: tuple = ()
    allocator: tuple = ()


VARIANTS = {
    "image": Variant(),
    "mimalloc": Variant(allocator=("mimalloc", '{ version = "0.1", default-features = false }', "mimalloc::MiMalloc")),
    "jemalloc": Variant(allocator=("tikv-jemallocator", '"0.7"', "tikv_jemallocator::Jemalloc")),
    "dynamic": Variant(flags=""),
    "lto-thin": Variant(options=("--config", 'profile.release.lto="thin"')),
    "lto-off": Variant(options=("--config", 'profile.release.lto="off"')),
    "panic-abort": Variant(options=("--config", 'profile.release.panic="abort"')),
}


def arguments(parser):
    parser.add_argument("--only", nargs="+", choices=VARIANTS, metavar="NAME", help=f"of {', '.join(VARIANTS)}")
    load.arguments(parser)


def measure(workshop, options):
    workshop.need("wrk", "git")
    names = ["image", *(name for name in options.only or VARIANTS if name != "image")]
    programs = {name: build(workshop, name, VARIANTS[name]) for name in names}
    services = {name: workshop.api(program) for name, program in programs.items()}
    idle = {name: service.resident() for name, service in services.items()}
    cpu = {name: [] for name in names}
    for service in services.values():
        load.wrk(service.port, 1, options.connections)
    for _ in range(options.rounds):
        for name, service in services.items():
            seen, used = load.full_rate(name, service, options)
            cpu[name].append(used / seen.requests / 1000)
    rows = [
        (
            name,
            figures.median(cpu[name], 2),
            figures.median(figures.ratios(cpu[name], cpu["image"]), 2),
            program.stat().st_size,
            len(gzip.compress(program.read_bytes(), 6)),
            idle[name],
            services[name].resident(),
        )
        for name, program in programs.items()
    ]
    print()
    heads = ("", "µs a request", "by the image's", "bytes", "compressed", "kB when idle", "kB after load")
    figures.table(heads, rows)
    return []


def build(workshop, name, variant):
    """Compiles a variant in a copy of the repository, and returns a copy of the program."""
    root = copy(workshop, name)
    if variant.allocator:
        choose_allocator(root, *variant.allocator)
    folder = workshop.compile("--bin", "api", root=root, flags=variant.flags, options=variant.options, target=ROOT / "target")
    program = workshop.work / f"api-{name}"
    shutil.copy(folder / "api", program)
    return program


def copy(workshop, name):
    root = workshop.work / f"source-{name}"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for path in listed.stdout.decode().split("\0"):
        if path and (ROOT / path).is_file():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, root / path)
    return root


def choose_allocator(root, crate, version, value):
    manifest, main = root / "crates/api/Cargo.toml", root / "crates/api/src/main.rs"
    manifest.write_text(manifest.read_text().replace("[dependencies]\n", f"[dependencies]\n{crate} = {version}\n", 1))
    main.write_text(main.read_text() + f"\n#[global_allocator]\nstatic ALLOCATOR: {value} = {value};\n")
