"""Cases and experience as files: TOML with comments kept, CSV tables, written all or not at all."""
