"""Private folders and files: whose they are, what stands in their place, and what a name may be."""

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import hauberk
from hauberk.files import (
    FileOperations,
    check_private,
    clean_orphans,
    make_private_folder,
    name_on_disk,
    read_private,
    write_private,
)

OPEN = Path("/proc/self/fd")
ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root can give a file away")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "private"
    make_private_folder(made)
    return made


@pytest.fixture
def no_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def orphan(folder, pid=4194305, content=b"left"):
    path = folder / f".hauberk-{pid}-0123456789abcdef.tmp"
    path.touch(0o600)
    path.write_bytes(content)
    return path


class Patched(FileOperations):
    """The real operations, some of them replaced."""

    def __init__(self, **operations):
        vars(self).update(operations)


class TestFolders:
    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
    def test_whatever_the_umask_a_folder_and_those_above_it_are_ours_alone(self, tmp_path, umask):
        before = os.umask(umask)
        try:
            make_private_folder(tmp_path / "a" / "b" / "c")
        finally:
            os.umask(before)
        for made in ("a", "a/b", "a/b/c"):
            assert mode(tmp_path / made) == 0o700

    def test_it_is_private_from_its_birth(self, tmp_path, no_umask):
        seen = []

        def mkdir(name, asked, *, dir_fd):
            os.mkdir(name, asked, dir_fd=dir_fd)
            seen.append(mode(tmp_path / name))

        make_private_folder(tmp_path / "a", files=Patched(mkdir=mkdir))
        assert seen == [0o700]

    def test_each_is_on_the_disk_before_the_next_is_made_in_it(self, tmp_path):
        done = []

        def mkdir(name, asked, *, dir_fd):
            done.append(name)
            os.mkdir(name, asked, dir_fd=dir_fd)

        make_private_folder(
            tmp_path / "a" / "b", files=Patched(mkdir=mkdir, fsync=lambda _: done.append("fsync"))
        )
        assert done == ["a", "fsync", "b", "fsync"]

    def test_those_above_that_are_there_stay_as_they_are(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "a").chmod(0o755)
        make_private_folder(tmp_path / "a" / "b")
        assert mode(tmp_path / "a") == 0o755

    def test_one_that_is_there_and_private_does(self, folder):
        make_private_folder(folder)
        make_private_folder(str(folder))

    @pytest.mark.parametrize("open_to", [0o750, 0o701, 0o770, 0o1777, 0o500])
    def test_one_with_another_mode_is_refused_with_the_command_that_mends_it(self, folder, open_to):
        folder.chmod(open_to)
        with pytest.raises(hauberk.UnsafeFile, match=f"mode {open_to:04o}") as caught:
            make_private_folder(folder)
        assert caught.value.remedy == f"run: chmod 700 {folder}"
        assert mode(folder) == open_to
        subprocess.run(caught.value.remedy.removeprefix("run: "), shell=True, check=True)  # noqa: S602
        make_private_folder(folder)

    @as_root
    def test_one_of_somebody_else_is_refused(self, folder):
        os.chown(folder, 4242, -1)
        with pytest.raises(hauberk.UnsafeFile, match="user id 4242") as caught:
            make_private_folder(folder)
        assert f"chown {os.geteuid()} {folder}" in caught.value.remedy

    def test_a_link_in_its_place_is_not_followed(self, tmp_path, folder):
        (tmp_path / "link").symlink_to(folder)
        (tmp_path / "dangling").symlink_to(tmp_path / "made-by-mistake")
        for link in ("link", "dangling"):
            with pytest.raises(hauberk.UnsafeFile, match="symbolic link"):
                make_private_folder(tmp_path / link)
        assert not (tmp_path / "made-by-mistake").exists()

    def test_a_file_in_its_place_is_named(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(hauberk.UnsafeFile, match="no folder"):
            make_private_folder(tmp_path / "file")
        with pytest.raises(NotADirectoryError):
            make_private_folder(tmp_path / "file" / "deeper")

    def test_two_that_make_it_at_once_both_succeed(self, tmp_path):
        def late(name, asked, *, dir_fd):
            os.mkdir(name, asked, dir_fd=dir_fd)
            os.mkdir(name, asked, dir_fd=dir_fd)

        make_private_folder(tmp_path / "a" / "b", files=Patched(mkdir=late))
        assert mode(tmp_path / "a" / "b") == 0o700

    def test_one_that_somebody_opens_up_in_between_is_refused(self, tmp_path):
        def late(name, asked, *, dir_fd):
            (tmp_path / name).mkdir()
            (tmp_path / name).chmod(0o777)
            os.mkdir(name, asked, dir_fd=dir_fd)

        with pytest.raises(hauberk.UnsafeFile, match="0777"):
            make_private_folder(tmp_path / "a", files=Patched(mkdir=late))


class TestChecking:
    def test_a_private_file_and_a_private_folder_pass(self, folder):
        write_private(folder / "file", b"")
        check_private(folder)
        check_private(folder / "file")

    @pytest.mark.parametrize("bit", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001])
    def test_each_bit_of_group_and_others_is_one_too_many(self, folder, bit):
        write_private(folder / "a file", b"")
        (folder / "a file").chmod(0o600 | bit)
        with pytest.raises(hauberk.UnsafeFile) as caught:
            check_private(folder / "a file")
        assert caught.value.remedy == f"run: chmod 600 '{folder}/a file'"
        folder.chmod(0o700 | bit)
        with pytest.raises(hauberk.UnsafeFile, match="chmod 700"):
            check_private(folder)

    def test_what_is_neither_file_nor_folder_is_refused(self, folder):
        os.mkfifo(folder / "fifo", 0o600)
        (folder / "link").symlink_to(folder)
        for name in ("fifo", "link"):
            with pytest.raises(hauberk.UnsafeFile):
                check_private(folder / name)

    def test_what_is_missing_is_missing(self, folder):
        with pytest.raises(FileNotFoundError):
            check_private(folder / "none")


class TestReading:
    def test_what_was_written_is_read(self, folder):
        write_private(folder / "file", b"\0\xff\n")
        assert read_private(folder / "file") == b"\0\xff\n"

    def test_a_file_that_comes_in_small_pieces_is_read_whole(self, folder):
        write_private(folder / "file", b"0123456789")
        read = Patched(read=lambda descriptor, count: os.read(descriptor, min(count, 3)))
        assert read_private(folder / "file", files=read) == b"0123456789"
        assert read_private(folder / "file", 10, files=read) == b"0123456789"

    def test_a_file_above_the_limit_is_refused_and_not_read_further(self, folder):
        write_private(folder / "file", b"0123456789")
        with pytest.raises(hauberk.UnsafeFile, match="larger than 9 bytes"):
            read_private(folder / "file", 9)

    @pytest.mark.parametrize("open_to", [0o640, 0o604, 0o660, 0o644])
    def test_a_file_that_others_may_use_is_refused(self, folder, open_to):
        write_private(folder / "file", b"x")
        (folder / "file").chmod(open_to)
        with pytest.raises(hauberk.UnsafeFile, match=f"run: chmod 600 {folder}/file"):
            read_private(folder / "file")

    @as_root
    def test_a_file_of_somebody_else_is_refused(self, folder):
        write_private(folder / "file", b"x")
        os.chown(folder / "file", 4242, -1)
        with pytest.raises(hauberk.UnsafeFile, match="user id 4242"):
            read_private(folder / "file")

    def test_links_fifos_sockets_and_folders_are_refused_without_waiting(self, folder):
        write_private(folder / "file", b"x")
        (folder / "link").symlink_to(folder / "file")
        os.mkfifo(folder / "fifo", 0o600)
        (folder / "folder").mkdir(0o700)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.path.relpath(folder / "socket"))
        for name in ("link", "fifo", "folder", "socket"):
            with pytest.raises(hauberk.UnsafeFile):
                read_private(folder / name)

    def test_what_is_swapped_after_it_was_opened_does_not_count(self, folder):
        write_private(folder / "file", b"mine")

        def late(path, flags):
            descriptor = os.open(path, flags)
            path.unlink()
            path.write_bytes(b"planted")
            return descriptor

        assert read_private(folder / "file", files=Patched(open=late)) == b"mine"

    def test_a_file_that_may_not_be_read_says_what_to_run(self, folder):
        def refused(path, flags):
            raise PermissionError(13, "Permission denied", str(path))

        with pytest.raises(hauberk.UnsafeFile, match="chmod 600"):
            read_private(folder / "file", files=Patched(open=refused))

    def test_what_is_missing_is_missing(self, folder):
        with pytest.raises(FileNotFoundError):
            read_private(folder / "none")

    def test_no_descriptor_is_left_open(self, folder):
        write_private(folder / "file", b"x")
        (folder / "open").touch(0o644)
        (folder / "open").chmod(0o644)
        before = len(list(OPEN.iterdir()))
        read_private(folder / "file")
        for refused in (lambda: read_private(folder / "open"),
                        lambda: read_private(folder / "file", 0)):  # fmt: skip
            with pytest.raises(hauberk.UnsafeFile):
                refused()
        write_private(folder / "file", b"y")
        with pytest.raises(FileExistsError):
            write_private(folder / "file", b"z", replace=False)
        assert len(list(OPEN.iterdir())) == before


class TestWriting:
    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
    @pytest.mark.parametrize("replace", [True, False])
    def test_whatever_the_umask_a_file_is_ours_alone(self, folder, umask, replace):
        before = os.umask(umask)
        try:
            write_private(folder / "file", b"x", replace=replace)
        finally:
            os.umask(before)
        assert mode(folder / "file") == 0o600
        assert names(folder) == ["file"]

    def test_a_file_that_others_could_read_is_replaced_by_one_that_they_cannot(self, folder):
        (folder / "file").write_bytes(b"old")
        (folder / "file").chmod(0o644)
        write_private(folder / "file", b"new")
        assert mode(folder / "file") == 0o600

    def test_what_stands_there_is_kept_unless_it_may_be_replaced(self, folder):
        write_private(folder / "file", b"old")
        with pytest.raises(FileExistsError) as caught:
            write_private(folder / "file", b"new", replace=False)
        assert caught.value.filename == str(folder / "file")
        assert read_private(folder / "file") == b"old"
        assert names(folder) == ["file"]

    def test_of_many_that_may_not_replace_exactly_one_wins(self, folder):
        won = []

        def write(number):
            try:
                write_private(folder / "file", b"%d" % number, replace=False)
            except FileExistsError:
                return
            won.append(number)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [b"%d" % number for number in won] == [read_private(folder / "file")]
        assert names(folder) == ["file"]

    @pytest.mark.parametrize("replace", [True, False])
    def test_a_link_in_its_place_is_not_followed(self, folder, tmp_path, replace):
        victim = tmp_path / "victim"
        victim.write_bytes(b"theirs")
        for name, target in (("file", victim), ("dangling", tmp_path / "made-by-mistake")):
            (folder / name).symlink_to(target)
            if replace:
                write_private(folder / name, b"x")
                assert read_private(folder / name) == b"x"
            else:
                with pytest.raises(FileExistsError):
                    write_private(folder / name, b"x", replace=False)
        assert victim.read_bytes() == b"theirs"
        assert not (tmp_path / "made-by-mistake").exists()

    def test_a_link_in_the_temporary_files_place_is_not_followed(self, folder, tmp_path):
        victim = tmp_path / "victim"
        victim.write_bytes(b"theirs")
        planted = folder / f".hauberk-{os.getpid()}-{'00' * 8}.tmp"
        planted.symlink_to(victim)
        with pytest.raises(FileExistsError):
            write_private(folder / "file", b"x", files=Patched(urandom=bytes))
        assert victim.read_bytes() == b"theirs"
        assert not (folder / "file").exists()

    def test_a_folder_in_its_place_is_kept(self, folder):
        (folder / "file").mkdir()
        with pytest.raises(FileExistsError, match="a folder stands there") as caught:
            write_private(folder / "file", b"x")
        assert caught.value.filename == str(folder / "file")
        assert names(folder) == ["file"]

    @pytest.mark.parametrize(
        ("open_to", "remedy"),
        [(0o770, "run: chmod go-w "), (0o702, "run: chmod go-w "), (0o1777, "mkdir -m 700 ")],
    )
    def test_a_folder_into_which_others_may_write_is_refused(self, folder, open_to, remedy):
        folder.chmod(open_to)
        with pytest.raises(hauberk.UnsafeFile, match=remedy) as caught:
            write_private(folder / "file", b"x")
        assert str(folder) in caught.value.remedy
        assert names(folder) == []
        write_private(folder / "no-secret", b"x", shared=True)
        assert mode(folder / "no-secret") == 0o600

    def test_a_folder_that_others_may_only_look_into_does(self, folder):
        folder.chmod(0o755)
        write_private(folder / "file", b"x")

    @as_root
    def test_a_folder_of_somebody_else_is_refused(self, folder):
        os.chown(folder, 4242, -1)
        with pytest.raises(hauberk.UnsafeFile, match="user id 4242"):
            write_private(folder / "file", b"x")

    def test_a_folder_swapped_for_a_link_meanwhile_gets_nothing(self, folder, tmp_path):
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()

        def late(path, *args, **options):
            descriptor = os.open(path, *args, **options)
            if path == folder:
                folder.rename(tmp_path / "moved")
                folder.symlink_to(elsewhere)
            return descriptor

        write_private(folder / "file", b"x", files=Patched(open=late))
        assert names(elsewhere) == []
        assert read_private(tmp_path / "moved" / "file") == b"x"

    def test_a_folder_that_is_missing_is_missing(self, folder):
        with pytest.raises(FileNotFoundError):
            write_private(folder / "none" / "file", b"x")

    @pytest.mark.parametrize("name", ["a\0b", "x" * 300])
    def test_a_name_that_no_folder_can_hold_leaves_nothing(self, folder, name):
        with pytest.raises((ValueError, OSError)):
            write_private(folder / name, b"x")
        assert names(folder) == []

    def test_an_error_names_the_file_and_not_what_was_written_first(self, folder):
        def full(*_args):
            raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match=r"No space left on device: .*private/file'$"):
            write_private(folder / "file", b"x", files=Patched(fsync=full))
        assert names(folder) == []

    def test_a_disk_that_takes_nothing_is_an_error_and_no_endless_loop(self, folder):
        with pytest.raises(OSError, match="nothing was written"):
            write_private(folder / "file", b"x", files=Patched(write=lambda *_args: 0))
        assert names(folder) == []

    def test_it_is_on_the_disk_before_it_is_in_place_and_the_folder_after(self, folder):
        done = []

        def noted(name, real):
            def run(*args, **options):
                done.append(name)
                return real(*args, **options)

            return run

        steps = ("write", "fsync", "rename", "close")
        write_private(
            folder / "file",
            b"x",
            files=Patched(**{name: noted(name, getattr(os, name)) for name in steps}),
        )
        assert done == ["write", "fsync", "rename", "close", "fsync", "close"]

    def test_nor_is_one_that_replaces_nothing_seen_before_it_is_whole(self, folder):
        seen = []

        def noted(descriptor):
            seen.append(names(folder))
            os.fsync(descriptor)

        write_private(folder / "file", b"x", replace=False, files=Patched(fsync=noted))
        assert seen == [[], ["file"]]

    @pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL])
    def test_where_no_file_can_be_without_a_name_it_has_one(self, folder, code):
        def refused(path, flags, *args, **options):
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(code, os.strerror(code))
            return os.open(path, flags, *args, **options)

        write_private(folder / "file", b"x", replace=False, files=Patched(open=refused))
        assert read_private(folder / "file") == b"x"
        with pytest.raises(FileExistsError):
            write_private(folder / "file", b"y", replace=False, files=Patched(open=refused))
        assert names(folder) == ["file"]

    def test_so_it_is_without_proc(self, folder):
        def link(source, *args, **options):
            if source.startswith("/proc"):
                raise FileNotFoundError(2, "No such file or directory")
            os.link(source, *args, **options)

        write_private(folder / "file", b"x", replace=False, files=Patched(link=link))
        assert read_private(folder / "file") == b"x"
        assert names(folder) == ["file"]


class TestOrphans:
    def test_what_a_writer_that_is_gone_left_is_removed_and_nothing_else(self, folder):
        orphan(folder)
        orphan(folder, pid=os.getpid())  # whose number is in use again
        kept = ["file", ".hauberk-1-0.tmp", ".hauberk-0-0123456789abcdef.tmp", ".other.tmp",
                ".hauberk-1-0123456789abcdef.tmp.bak"]  # fmt: skip
        for name in kept:
            (folder / name).touch(0o600)
        assert clean_orphans(folder) == 2
        assert names(folder) == sorted(kept)

    def test_what_only_looks_like_one_is_left_alone(self, folder, tmp_path):
        victim = tmp_path / "victim"
        victim.touch()
        name = ".hauberk-{}-0123456789abcdef.tmp"
        (folder / name.format(1)).symlink_to(victim)
        (folder / name.format(2)).mkdir()
        os.mkfifo(folder / name.format(3))
        assert clean_orphans(folder) == 0
        assert len(names(folder)) == 3
        assert victim.exists()

    @as_root
    def test_one_of_somebody_else_is_left_alone(self, folder):
        os.chown(orphan(folder), 4242, -1)
        assert clean_orphans(folder) == 0

    def test_one_that_a_living_process_writes_is_left_alone(self, folder):
        script = (
            "import sys\n"
            "from hauberk.files import FileOperations, write_private\n"
            "class Slow(FileOperations):\n"
            "    def fsync(self, descriptor):\n"
            "        print('writing', flush=True)\n"
            "        sys.stdin.readline()\n"
            "write_private(sys.argv[1], b'whole', files=Slow())\n"
        )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        command = [sys.executable, "-c", script, str(folder / "file")]
        with subprocess.Popen(command, **pipes) as living:
            living.stdout.readline()
            assert len(names(folder)) == 1
            assert clean_orphans(folder) == 0
            living.communicate("\n\n")
        assert living.returncode == 0
        assert read_private(folder / "file") == b"whole"
        with subprocess.Popen(command, **pipes) as killed:
            killed.stdout.readline()
            killed.kill()
        assert clean_orphans(folder) == 1
        assert names(folder) == ["file"]

    def test_one_that_could_not_even_be_opened_is_removed(self, folder):
        orphan(folder).chmod(0)
        assert clean_orphans(folder) == 1

    def test_a_writer_who_is_always_robbed_gives_up(self, folder):
        def robbed(descriptor, _how):
            for path in folder.iterdir():
                path.unlink()

        with pytest.raises(BlockingIOError, match="keeps removing"):
            write_private(folder / "file", b"x", files=Patched(flock=robbed))

    @pytest.mark.parametrize("act", [write_private, read_private])
    def test_whoever_reads_or_writes_there_removes_it(self, folder, act):
        write_private(folder / "file", b"x")
        orphan(folder)
        act(folder / "file", *([b"y"] if act is write_private else []))
        assert names(folder) == ["file"]

    @pytest.mark.parametrize("act", [write_private, read_private])
    def test_what_cannot_be_removed_stops_neither(self, folder, act):
        def refused(*_args):
            raise PermissionError(1, "Operation not permitted")

        write_private(folder / "file", b"x")
        orphan(folder)
        patched = Patched(listdir=refused)
        act(folder / "file", *([b"y"] if act is write_private else []), files=patched)

    def test_a_folder_that_is_not_there_has_none(self, folder):
        assert clean_orphans(folder / "none") == 0


class TestNames:
    NAMES = (
        *("", ".", "..", "../x", "/etc/passwd", "a/b", "a\0b", "CON", "con", "nul.txt"),
        *("x" * 4096, "\ud800", "\udcff\n", "\U0001f600", "\ud83d\ude00", "\xe9", "e\u0301"),
        *("a", "A", " ", "-rf", "~", "?", "??"),
    )

    @pytest.mark.parametrize("name", NAMES)
    def test_any_name_becomes_a_plain_one_of_fixed_length(self, folder, name):
        derived = name_on_disk(name)
        assert len(derived) == 64
        assert set(derived) <= set("0123456789abcdef")
        write_private(folder / derived, b"x")
        assert names(folder) == [derived]

    def test_no_two_share_one(self):
        assert len({name_on_disk(name) for name in self.NAMES}) == len(self.NAMES)

    def test_it_is_sha_256_as_others_compute_it(self):
        known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        assert name_on_disk("abc") == known


def test_importing_it_loads_nothing_heavy():
    script = "import hauberk.files, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert loaded.isdisjoint({"hashlib", "cryptography", "cattrs", "ruamel.yaml", "hauberk.kernel"})
