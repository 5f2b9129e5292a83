"""What can go wrong with a store: each error says what, where, and what to do."""

from __future__ import annotations

from hauberk.errors import Altered, HauberkError, SealError, StoreConflict, StoreError, UnsafeFile


class StoreTrouble(StoreError):
    """The base of a store's own errors.

    Attributes:
        where: Which store: a file's path, or a server and database without its password.
        problem: What is wrong.
        remedy: What to do.
    """

    def __init__(self, where: object, problem: str, remedy: str) -> None:
        super().__init__(str(where), problem, remedy)
        self.where = str(where)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}; {self.remedy}"


class StoreBusy(StoreTrouble):
    """Another process or thread kept it locked for longer than `storage.busy_s`."""


class StoreFull(StoreTrouble):
    """There is no room left on the disk."""


class StoreReadOnly(StoreTrouble):
    """It can be read and not written."""


class StoreUnreachable(StoreTrouble):
    """It cannot be opened, the server does not answer, or the connection was lost."""


class StoreDamaged(StoreTrouble):
    """What stands there is no store, or a damaged one."""


class StoreMissing(StoreTrouble):
    """It was made here, and is gone or empty.

    Attributes:
        marker: The file that says that it was made.
    """

    def __init__(self, where: object, problem: str, marker: object) -> None:
        remedy = (
            "put it back from a backup. To give up all that it held, a halt and the users too, and "
            f"begin anew, remove {marker}"
        )
        super().__init__(where, problem, remedy)
        self.args = (str(where), problem, str(marker))
        self.marker = str(marker)


class StoreForeign(StoreTrouble):
    """What stands there is somebody else's, and is left as it is."""


class StoreTooRecent(StoreTrouble):
    """A later version of Hauberk made it."""


class StoreDiffers(StoreTrouble):
    """It holds something else than the store that is to be copied into it."""


class StoreMisused(StoreTrouble):
    """It was called in a way or at a time that it cannot answer."""


class StoreUnsafe(UnsafeFile, StoreError):
    """Its file or folder belongs to somebody else, or others may use it."""


class ValuesNotSealed(HauberkError):
    """Sealed values of a configuration could not be sealed anew; they open as before.

    Attributes:
        problem: Which file, and why.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return (
            f"{self.problem}; the records are sealed under the present key, and no key was "
            "retired: make it writable, then do this again"
        )


class BadName(StoreError):
    """A name holds lone surrogates, which no store can keep."""

    def __init__(self, name: str) -> None:
        super().__init__(name)

    def __str__(self) -> str:
        return f"the name {self.args[0]!a} is not valid Unicode: it has lone surrogates"


class RecordConflict(StoreConflict):
    """A record is not at the version that the caller last saw.

    Attributes:
        name: Which record.
        expected: The version that the caller asked for.
        stands: The version that stood there; 0 for none.
    """

    def __init__(self, name: str, expected: int, stands: int) -> None:
        super().__init__(name, expected, stands)
        self.name = name
        self.expected = expected
        self.stands = stands

    def __str__(self) -> str:
        return f"record {self.name!r} is at version {self.stands}, not {self.expected}"


class VaultMissing(SealError, StoreError):
    """The port `sealed` was used where nothing seals."""

    def __str__(self) -> str:
        return (
            "the port 'sealed' has nothing to seal with: list a plugin that provides 'vault', and "
            "grant it under `grants: {storage: [vault]}` in hauberk.yml"
        )


class SealedElsewhere(SealError):
    """The store holds records that are sealed under keys which are not here.

    Attributes:
        where: Which store.
        problem: What is wrong.
        remedy: What to do.
    """

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where
        self.problem = "it holds records that are sealed under another key ring than the one here"
        self.remedy = (
            "nothing was written; put the key ring of those records into the state folder: "
            "keyring.json, from a backup or from the machine that uses this store already"
        )

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}; {self.remedy}"


class SealedStateChanged(Altered, StoreError):
    """Sealed records are not as Hauberk left them: somebody changed the store behind its back.

    Attributes:
        namespace: Whose records.
        name: Which record, or the bucket of records where it cannot be told.
    """

    what = "is not as it was left"

    def __init__(self, namespace: str, name: str) -> None:
        super().__init__(namespace, name)
        self.namespace = namespace
        self.name = name

    def __str__(self) -> str:
        return (
            f"{self.name} of {self.namespace!r} {self.what}: somebody changed the store behind "
            "Hauberk's back; find out who, and put the whole store back from a backup"
        )


class RecordReplayed(SealedStateChanged):
    """A record opens, and is not the one that was written last."""

    what = "was put back as it was before"


class RecordMissing(SealedStateChanged):
    """A record was removed."""

    what = "was removed"


class RecordAdded(SealedStateChanged):
    """A record stands where none was written."""

    what = "was added"


class SumMissing(SealedStateChanged):
    """The sum that says which records belong together is gone."""

    what = "has lost its sum"


class SumReplayed(SealedStateChanged):
    """The sum, and all that belongs to it, is older than what this process has seen."""

    what = "was put back with its sum as it was before"
