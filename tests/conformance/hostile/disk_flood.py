# rule: exit_status
for at in range(1 << 20):
    with open(f"file{at}", "wb") as file:
        file.write(b"x" * (1 << 20))
