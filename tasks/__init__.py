"""The side effects of a night, one kind per module. Imports point one way: flows -> tasks -> nada."""
