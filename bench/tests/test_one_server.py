"""The page that `bench/one-server` types, read."""

from hearing import one_server

PAGE = """# A server

```toml
host = "talk.example"
```

## On the air

```sh
first --option
# said, not typed
second
```

Between.

```sh
third
```

## Later

```sh
fourth
```
"""


def test_commands_are_the_lines_of_blocks_of_shell_by_their_heading():
    assert one_server.sections(PAGE) == {"On the air": ["first --option", "second", "third"], "Later": ["fourth"]}


def test_one_server_is_on_the_air_in_ten_commands_at_most():
    found = one_server.sections(one_server.PAGE.read_text())
    assert 1 <= len(found["On the air"]) <= one_server.COMMANDS_MAX
    assert found["Removal"] == ["apt remove hiwar", "apt purge hiwar"]
