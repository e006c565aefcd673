"""Commands of `endcap` by what they are about; `cli.py` puts them together and gives them what they run on."""
